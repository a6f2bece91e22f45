import { afterEach, describe, expect, it } from 'vitest';
import { generationResponse } from '../../src/server/sdapi/bodies.js';
import { createFakeEngine, type FakeBehaviour } from '../support/fake-native.js';
import { type ServerOptions, TestServer } from '../support/server.js';

let server: TestServer;
afterEach(() => server.stop());

const SMALL = { prompt: 'a fox', steps: 3, width: 64, height: 64, seed: 7 };
/** Longer than a test waits. */
const LONG = { ...SMALL, steps: 150, n_iter: 16 };

interface JobBody {
  readonly id: string;
  readonly state: string;
  readonly step: number;
  readonly position: number | null;
  readonly progress: number;
  readonly result: { images: string[] } | null;
  readonly error: { status: number; detail: unknown } | null;
}

async function start(options: ServerOptions = {}): Promise<void> {
  server = await TestServer.start(options);
}
const submit = async (body: object) => {
  const { status, body: job, headers } = await server.post('/v1/jobs', body);
  expect(status).toBe(202);
  const { id } = job as JobBody;
  expect(headers.location).toBe(`/v1/jobs/${encodeURIComponent(id)}`);
  return id;
};
const job = async (id: string) => (await server.get(`/v1/jobs/${encodeURIComponent(id)}`)).body as JobBody;
const runs = (id: string) =>
  expect.poll(async () => (await job(id)).step, { timeout: 60_000, interval: 20 }).toBeGreaterThan(0);
const ends = (id: string) =>
  expect.poll(async () => (await job(id)).state, { timeout: 60_000, interval: 20 }).not.toMatch(/queued|running/);

/** Events of a job until the stream ends. */
async function events(id: string): Promise<{ event: string; data: Record<string, unknown> }[]> {
  const { text, headers } = await server.raw('GET', `/v1/jobs/${encodeURIComponent(id)}/events`);
  expect(headers['content-type']).toMatch(/^text\/event-stream/);
  return text
    .split('\n\n')
    .filter((block) => block.startsWith('event:'))
    .map((block) => {
      const [event = '', data = ''] = block.split('\n');
      return { event: event.slice(7), data: JSON.parse(data.slice(6)) };
    });
}

describe('/v1/jobs', () => {
  it('gives what txt2img gives, and tells steps, previews and the end', async () => {
    await start();
    await server.post('/sdapi/v1/options', { show_progress_every_n_steps: 2 });
    const id = await submit({ ...SMALL, steps: 40 });
    const told = await events(id);
    expect(told.at(-1)?.event).toBe('done');
    expect(told.at(-1)?.data).toMatchObject({ id, state: 'done', progress: 1 });
    const steps = told.filter(({ event }) => event === 'step').map(({ data }) => data.step);
    expect(steps.at(-1)).toBe(40);
    const preview = told.find(({ event }) => event === 'preview')?.data.image;
    expect(Buffer.from(String(preview), 'base64').toString('latin1', 1, 4)).toBe('PNG');
    const { result } = await job(id);
    const direct = generationResponse.parse((await server.post('/sdapi/v1/txt2img', { ...SMALL, steps: 40 })).body);
    expect(generationResponse.parse(result).images).toEqual(direct.images);
    expect((await events(id)).map(({ event }) => event)).toEqual(['done']);
  });

  it('are cancelled one by one, within a step, whether they run or wait', async () => {
    await start();
    const [first, second, third] = [await submit(LONG), await submit(LONG), await submit(SMALL)];
    await runs(first);
    expect(await job(second)).toMatchObject({ state: 'queued', position: 1 });
    expect(await job(third)).toMatchObject({ position: 2 });
    const cancel = (id: string) => server.raw('DELETE', `/v1/jobs/${encodeURIComponent(id)}`);
    expect(JSON.parse((await cancel(second)).text)).toMatchObject({ state: 'cancelled', step: 0 });
    expect((await job(first)).state).toBe('running');
    expect(JSON.parse((await cancel(first)).text)).toMatchObject({ state: 'cancelled' });
    await ends(third);
    expect((await job(third)).state).toBe('done');
    expect((await cancel('nothing')).status).toBe(404);
    expect(JSON.parse((await cancel(third)).text)).toMatchObject({ state: 'done' });
  });

  it('are refused beyond the bound with a time to come back, and an id is for one at a time', async () => {
    await start({ limits: { queue: 2 } });
    const first = await submit({ ...LONG, force_task_id: 'mine' });
    expect(first).toBe('mine');
    expect((await server.post('/v1/jobs', { ...LONG, force_task_id: 'mine' })).status).toBe(409);
    await submit(LONG);
    for (const path of ['/v1/jobs', '/sdapi/v1/txt2img']) {
      const { status, headers, body } = await server.post(path, SMALL);
      expect([status, Number(headers['retry-after']) > 0, (body as { error: string }).error]).toEqual([
        429,
        true,
        'E_QUEUE_FULL',
      ]);
    }
    expect((await server.get('/v1/jobs')).body).toHaveLength(2);
  });

  it('are checked before they take a place', async () => {
    await start({ limits: { queue: 1 } });
    expect((await server.post('/v1/jobs', { ...SMALL, steps: 'x' })).status).toBe(422);
    expect((await server.post('/v1/jobs', { ...SMALL, override_settings: { nonsense: 1 } })).status).toBe(422);
    await ends(await submit(SMALL));
    const failed = await submit({ ...SMALL, prompt: '<lora:x:1>' });
    await ends(failed);
    expect(await job(failed)).toMatchObject({
      state: 'failed',
      error: { status: 422, detail: [{ loc: ['body', 'prompt'] }] },
    });
  });
});

describe('progress', () => {
  it('is of the active job: each has its own, and interrupt and skip are for it alone', async () => {
    await start();
    await server.post('/sdapi/v1/options', { show_progress_every_n_steps: 1 });
    const waiting = server.post('/sdapi/v1/txt2img', { ...LONG, force_task_id: 'first' });
    await expect.poll(async () => (await job('first')).step ?? 0, { timeout: 60_000 }).toBeGreaterThan(1);
    const second = await submit({ ...SMALL, force_task_id: 'second' });
    const told = (await server.get('/sdapi/v1/progress')).body as Record<string, Record<string, number>> & {
      current_image: string;
    };
    expect(told.state).toMatchObject({
      job: 'first',
      job_count: 16,
      job_no: 0,
      sampling_steps: 150,
      interrupted: false,
    });
    expect(told.progress).toBeGreaterThan(0);
    expect(told.eta_relative).toBeGreaterThan(0);
    expect(Buffer.from(told.current_image, 'base64').toString('latin1', 1, 4)).toBe('PNG');
    const ask = async (id: string) => (await server.post('/internal/progress', { id_task: id })).body;
    expect(await ask('first')).toMatchObject({
      active: true,
      completed: false,
      live_preview: expect.stringMatching(/^data:image\/png;base64,/),
    });
    // It waits for its turn once it is planned.
    await expect
      .poll(() => ask('second'), { timeout: 60_000 })
      .toMatchObject({ active: false, queued: true, textinfo: 'In queue: 1/1' });
    expect((await server.get('/internal/pending-tasks')).body).toEqual({ size: 1, tasks: ['second'] });

    await server.post('/sdapi/v1/skip');
    await expect
      .poll(async () => ((await server.get('/sdapi/v1/progress')).body as typeof told).state?.job_no, {
        timeout: 60_000,
      })
      .toBe(1);
    await server.post('/sdapi/v1/interrupt');
    const { status, body } = await waiting;
    expect(status).toBe(200);
    const { images, info } = generationResponse.parse(body);
    expect(images).toHaveLength(2);
    expect(JSON.parse(info).infotexts).toHaveLength(2);
    await ends(second);
    expect(await ask('second')).toMatchObject({ active: false, queued: false, completed: true });
  });
});

describe('a job that fails', () => {
  const failing = (fail: FakeBehaviour['fail']) =>
    start({ addon: createFakeEngine(fail === undefined ? {} : { fail }).addon });

  it.each(['E_OUT_OF_MEMORY', 'E_NON_FINITE', 'E_INTERNAL'] as const)('with %s leaves the server up', async (code) => {
    await failing({ at: 'sample', code });
    const { status, body } = await server.post('/sdapi/v1/txt2img', SMALL);
    expect([status, body]).toEqual([
      500,
      { error: code, detail: '', body: '', errors: expect.stringMatching(/sample failed/) },
    ]);
    expect((await server.get('/healthz')).status).toBe(200);
    const id = await submit(SMALL);
    await ends(id);
    expect(await job(id)).toMatchObject({ state: 'failed', error: { status: 500 } });
    expect((await server.raw('GET', '/metrics')).text).toMatch(/sdgen_jobs_total\{kind="txt2img",outcome="failed"\} 2/);
  });

  it('for want of memory is refused before it computes', async () => {
    await start({ addon: createFakeEngine({ peakBytes: 1e18 }).addon });
    expect(await server.post('/sdapi/v1/txt2img', SMALL)).toMatchObject({
      status: 500,
      body: { error: 'E_OUT_OF_MEMORY' },
    });
    expect((await server.get('/healthz')).body).toMatchObject({ jobs: 0 });
  });

  it('loads a model once for all who ask at the same time', async () => {
    const engine = createFakeEngine();
    await start({ addon: engine.addon });
    const answers = await Promise.all(Array.from({ length: 5 }, () => server.post('/sdapi/v1/txt2img', SMALL)));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect(engine.loads).toBe(1);
  });
});

describe('a client that goes away', () => {
  it('does not end its job', async () => {
    await start();
    const controller = new AbortController();
    const gone = fetch(`${server.url}/sdapi/v1/txt2img`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...SMALL, steps: 60, force_task_id: 'left' }),
      signal: controller.signal,
    }).catch((error: Error) => error.name);
    await runs('left');
    controller.abort();
    expect(await gone).toBe('AbortError');
    await ends('left');
    expect((await job('left')).state).toBe('done');
  });
});

describe('the end', () => {
  it('lets the running job finish and answer, cancels what waits, and takes nothing new', async () => {
    await start();
    const running = server.post('/sdapi/v1/txt2img', { ...SMALL, steps: 100, force_task_id: 'a' });
    await runs('a');
    const waiting = server.post('/sdapi/v1/txt2img', { ...SMALL, force_task_id: 'b' });
    await expect.poll(async () => (await job('b')).state).toBe('queued');
    const closed = server.listening.close(60);
    expect((await server.post('/sdapi/v1/txt2img', SMALL)).status).toBe(503);
    expect((await server.get('/healthz')).status).toBe(503);
    expect((await waiting).status).toBe(409);
    expect((await running).status).toBe(200);
    await closed;
  });

  it('cancels the running job when the grace is over', async () => {
    await start();
    const running = server.post('/sdapi/v1/txt2img', { ...LONG, force_task_id: 'a' });
    await runs('a');
    await server.listening.close(0.1);
    expect((await running).status).toBe(409);
  });
});
