import { randomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { copyFile } from 'node:fs/promises';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { FleetClient } from '../../src/fleet/client.js';
import { connectQueue } from '../../src/fleet/connection.js';
import { FleetExecutor } from '../../src/fleet/executor.js';
import { readFleet } from '../../src/fleet/status.js';
import { QueueStore } from '../../src/fleet/stores/queue-store.js';
import { encodePng } from '../../src/image/codec.js';
import { CliSandbox } from '../support/cli.js';
import { type InProcessWorker, startWorker } from '../support/fleet.js';
import { describeWithRedis, TestRedis } from '../support/redis.js';
import { TestServer } from '../support/server.js';
import { tinyModelPath } from '../support/tiny-model.js';

const SMALL = { prompt: 'a fox', steps: 3, width: 64, height: 64, seed: 7 };

interface JobBody {
  readonly id: string;
  readonly state: string;
  readonly step: number;
  readonly result: { images: string[] } | null;
}

describeWithRedis('a server over a fleet', () => {
  let redis: TestRedis;
  let sandbox: CliSandbox;
  let server: TestServer;
  let near: TestServer;
  let worker: InProcessWorker;
  let close: () => Promise<void>;
  beforeAll(async () => {
    redis = await TestRedis.start();
    sandbox = await CliSandbox.create();
    await copyFile(await tinyModelPath(), sandbox.path('models', 'micro1.safetensors'));
    const connection = await connectQueue({ url: redis.url });
    const stores = { queue: new QueueStore(connection), shared: undefined };
    const client = new FleetClient({ redis: connection, stores, onLog: () => undefined });
    const remote = new FleetExecutor({ interactive: true, submit: (submission) => client.submit(submission) });
    server = await TestServer.start({ fleet: { remote, status: () => readFleet(connection) } });
    near = await TestServer.start();
    worker = startWorker(sandbox, redis.url, ['--device', 'reference']);
    close = async () => {
      await client.close();
      connection.disconnect();
    };
  });
  afterAll(async () => {
    await server.stop();
    await near.stop();
    worker.drain();
    await worker.ended;
    await close();
    await redis.stop();
    await sandbox.remove();
  });

  const job = async (id: string) => (await server.get(`/v1/jobs/${encodeURIComponent(id)}`)).body as JobBody;
  const submit = async (body: object): Promise<string> => ((await server.post('/v1/jobs', body)).body as JobBody).id;
  const runs = (id: string) =>
    expect.poll(async () => (await job(id)).step, { timeout: 20_000, interval: 20 }).toBeGreaterThan(0);

  it('answers what a server alone answers', async () => {
    const body = { ...SMALL, n_iter: 2 };
    const [far, here] = [await server.post('/sdapi/v1/txt2img', body), await near.post('/sdapi/v1/txt2img', body)];
    expect(far.status).toBe(200);
    expect((far.body as { images: string[] }).images).toEqual((here.body as { images: string[] }).images);
    expect((far.body as { images: string[] }).images).toHaveLength(2);
  });

  it('sends the pictures that a plan begins with', async () => {
    const picture = (await encodePng(randomBytes(64 * 64 * 3), 64, 64)).toString('base64');
    const mask = (await encodePng(Buffer.alloc(64 * 64 * 3, 255), 64, 64)).toString('base64');
    const body = { ...SMALL, init_images: [picture], mask, denoising_strength: 0.6, inpainting_fill: 1 };
    const [far, here] = [await server.post('/sdapi/v1/img2img', body), await near.post('/sdapi/v1/img2img', body)];
    expect(far.status).toBe(200);
    const { images } = far.body as { images: string[] };
    expect(images).toHaveLength(1);
    expect(images).toEqual((here.body as { images: string[] }).images);
    // Nothing is taken for a picture that is not the plan's.
    const connection = new Redis(redis.url);
    const keys = await connection.keys('sdgen:blob:inputs/*');
    expect(keys).toHaveLength(2);
    connection.disconnect();
  });

  it('passes steps and previews through', async () => {
    await server.post('/sdapi/v1/options', { show_progress_every_n_steps: 2 });
    const id = await submit({ ...SMALL, steps: 40 });
    const { text } = await server.raw('GET', `/v1/jobs/${encodeURIComponent(id)}/events`);
    const events = text.split('\n\n').map((block) => block.split('\n'));
    expect(events.some(([event]) => event === 'event: preview')).toBe(true);
    const steps = events.flatMap(([event, data = '']) =>
      event === 'event: step' ? [(JSON.parse(data.slice(6)) as JobBody).step] : [],
    );
    expect(steps.at(-1)).toBe(40);
    expect((await job(id)).state).toBe('done');
  });

  it('cancels what runs, within a step, and what waits', async () => {
    const first = await submit({ ...SMALL, steps: 150, n_iter: 16 });
    const second = await submit({ ...SMALL, seed: 8, steps: 150, n_iter: 16 });
    await runs(first);
    expect((await job(second)).state).toBe('queued');
    for (const id of [second, first]) {
      const { text } = await server.raw('DELETE', `/v1/jobs/${encodeURIComponent(id)}`);
      expect(JSON.parse(text)).toMatchObject({ state: 'cancelled' });
    }
    const begin = performance.now();
    expect((await server.post('/sdapi/v1/txt2img', SMALL)).status).toBe(200);
    expect(performance.now() - begin).toBeLessThan(10_000);
  });

  it('ends early and keeps what there is when told so', async () => {
    const id = await submit({ ...SMALL, steps: 150, n_iter: 16 });
    await runs(id);
    await server.post('/sdapi/v1/interrupt');
    await expect.poll(async () => (await job(id)).state, { timeout: 20_000 }).toBe('done');
    const images = (await job(id)).result?.images.length ?? 0;
    expect(images).toBeGreaterThan(0);
    expect(images).toBeLessThan(16);
  });

  it('is what sdgen serve --queue is', async () => {
    const signals = new EventEmitter();
    const argv = ['serve', '--queue', redis.url, '--port', '19763', '-m', 'micro1', '--device', 'reference', '-q'];
    const served = sandbox.run(argv, { signals });
    const post = () =>
      fetch('http://127.0.0.1:19763/sdapi/v1/txt2img', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(SMALL),
      });
    await expect
      .poll(
        () =>
          post().then(
            ({ status }) => status,
            () => 0,
          ),
        { timeout: 20_000 },
      )
      .toBe(200);
    signals.emit('SIGTERM');
    expect(await served).toMatchObject({ code: 0, err: '' });
    const refused = await sandbox.run(['serve', '--queue', redis.url, '--fake-inference']);
    expect(refused).toMatchObject({ code: 2, err: expect.stringContaining('--fake-inference computes nothing') });
    const lonely = await sandbox.run(['serve', '--queue-ca', 'ca.pem']);
    expect(lonely.err).toContain('--queue-ca is for the fleet behind --queue: give that too');
  });

  it('has the fleet in its metrics', async () => {
    const { text } = await server.raw('GET', '/metrics');
    expect(text).toContain('sdgen_fleet_able_workers{model="micro1",precision="fp32"} 1\n');
  });
});
