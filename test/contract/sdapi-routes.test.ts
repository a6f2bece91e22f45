import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { VERSION } from '../../src/context/version.js';
import { encodePicture, encodePng } from '../../src/image/codec.js';
import type { NativeAddon } from '../../src/native/types.js';
import { createFakeEngine } from '../support/fake-native.js';
import { TestServer } from '../support/server.js';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
  await writeFile(join(server.folder, 'styles.csv'), 'name,prompt,negative_prompt\ninky,"{prompt}, ink",blurry\n');
});
afterAll(() => server.stop());

const named = z.strictObject({ name: z.string() });
const model = z.strictObject({
  title: z.string(),
  model_name: z.string(),
  hash: z.string().length(10).nullable(),
  sha256: z.string().length(64).nullable(),
  filename: z.string(),
  config: z.null(),
});
const script = z.strictObject({
  name: z.string(),
  is_alwayson: z.literal(true),
  is_img2img: z.boolean(),
  args: z.array(z.unknown()),
});
const bytes = z.strictObject({ free: z.number(), used: z.number(), total: z.number() });
const idleState = {
  ...{ skipped: false, interrupted: false, stopping_generation: false, job: '', job_count: 0, job_timestamp: '0' },
  ...{ job_no: 0, sampling_step: 0, sampling_steps: 0 },
};

/** Every GET route and the shape of its answer. */
const GETS: [path: string, shape: z.ZodType][] = [
  [
    'samplers',
    z
      .array(
        z.strictObject({ name: z.string(), aliases: z.array(z.string()), options: z.record(z.string(), z.string()) }),
      )
      .length(20),
  ],
  [
    'schedulers',
    z
      .array(
        z.strictObject({
          name: z.string(),
          label: z.string(),
          aliases: z.array(z.string()).nullable(),
          default_rho: z.number(),
          need_inner_model: z.boolean(),
        }),
      )
      .min(12),
  ],
  [
    'upscalers',
    z
      .array(
        z.strictObject({
          name: z.string(),
          model_name: z.null(),
          model_path: z.null(),
          model_url: z.null(),
          scale: z.literal(4),
        }),
      )
      .length(3),
  ],
  ['latent-upscale-modes', z.array(named).length(6)],
  // The server's own, and the one that the package carries.
  ['sd-models', z.array(model).length(2)],
  ['sd-vae', z.array(z.strictObject({ model_name: z.string(), filename: z.string() }))],
  ['loras', z.tuple([])],
  ['hypernetworks', z.tuple([])],
  ['face-restorers', z.tuple([])],
  ['realesrgan-models', z.tuple([])],
  ['embeddings', z.strictObject({ loaded: z.strictObject({}), skipped: z.strictObject({}) })],
  ['scripts', z.strictObject({ txt2img: z.array(z.string()).min(1), img2img: z.array(z.string()).min(1) })],
  ['script-info', z.array(script).min(2)],
  ['extensions', z.tuple([])],
  ['memory', z.strictObject({ ram: bytes, cuda: z.strictObject({ error: z.string() }) })],
  ['cmd-flags', z.strictObject({ host: z.string(), port: z.number() })],
  [
    'options',
    z.looseObject({
      samples_format: z.literal('png'),
      sd_model_checkpoint: z.string().regex(/^micro1\.safetensors/),
      eta_ancestral: z.literal(1),
    }),
  ],
];

describe('GET routes', () => {
  it.each(GETS)('/sdapi/v1/%s', async (path, shape) => {
    const { status, body } = await server.get(`/sdapi/v1/${path}`);
    expect(status).toBe(200);
    expect(shape.safeParse(body).error?.issues ?? []).toEqual([]);
  });

  it("memory tells of the server's card, and in the webui's words why it cannot", async () => {
    const devices = (['cuda', 'cuda:1'] as const).map((name) => {
      return { name, description: '', precisions: ['fp32' as const], isa: '', missing: '' };
    });
    const rows = [
      { name: 'cuda' as const, freeBytes: 6, totalBytes: 9 },
      { name: 'cuda:1' as const, freeBytes: 2, totalBytes: 8 },
    ];
    const told = async (addon: NativeAddon, device: string): Promise<unknown> => {
      const own = await TestServer.start({ addon, device });
      try {
        return Reflect.get(Object((await own.get('/sdapi/v1/memory')).body), 'cuda');
      } finally {
        await own.stop();
      }
    };
    const { addon } = createFakeEngine({ capabilities: { devices }, deviceMemory: rows });
    expect(await told(addon, 'cuda:1')).toEqual({ system: { free: 2, used: 6, total: 8 } });
    expect(await told(addon, 'auto')).toEqual({ system: { free: 6, used: 3, total: 9 } });
    expect(await told(createFakeEngine().addon, 'auto')).toEqual({ error: 'unavailable' });
    const lost = () => ({ promise: Promise.reject(new Error('the card is lost')), cancel: () => undefined });
    expect(await told({ ...addon, deviceMemory: lost }, 'auto')).toEqual({ error: 'the card is lost' });
  });

  it('list styles, samplers and schedulers by their facts', async () => {
    expect((await server.get('/sdapi/v1/prompt-styles')).body).toEqual([
      { name: 'inky', prompt: '{prompt}, ink', negative_prompt: 'blurry' },
    ]);
    const samplers = (await server.get('/sdapi/v1/samplers')).body;
    expect(samplers).toContainEqual({
      name: 'DPM2 a',
      aliases: ['k_dpm_2_a'],
      options: { scheduler: 'karras', discard_next_to_last_sigma: 'True', uses_ensd: 'True', second_order: 'True' },
    });
    const schedulers = (await server.get('/sdapi/v1/schedulers')).body;
    expect(schedulers).toContainEqual(
      expect.objectContaining({ name: 'karras', label: 'Karras', aliases: null, default_rho: 7 }),
    );
    expect(schedulers).toContainEqual(expect.objectContaining({ name: 'sgm_uniform', aliases: ['SGMUniform'] }));
  });

  it('answer with the time they took, and 404 beside them', async () => {
    const { headers } = await server.raw('GET', '/sdapi/v1/samplers');
    expect(headers['x-process-time']).toMatch(/^\d+\.\d{4}$/);
    const missing = await server.get('/sdapi/v1/nothing');
    expect(missing).toEqual({
      status: 404,
      body: { error: 'HTTPException', detail: 'Not Found', body: '', errors: '' },
    });
  });
});

describe('idle', () => {
  it('is what progress tells, and interrupt and skip do nothing', async () => {
    const { status, body } = await server.get('/sdapi/v1/progress?skip_current_image=True');
    expect(status).toBe(200);
    expect(body).toEqual({ progress: 0, eta_relative: 0, state: idleState, current_image: null, textinfo: null });
    expect(await server.post('/sdapi/v1/interrupt')).toMatchObject({ status: 200, body: {} });
    expect(await server.post('/sdapi/v1/skip')).toMatchObject({ status: 200, body: null });
    const internal = await server.post('/internal/progress', { id_task: 'task(none)', id_live_preview: -1 });
    expect(internal).toMatchObject({
      status: 200,
      body: { active: false, queued: false, completed: false, progress: null, live_preview: null, id_live_preview: -1 },
    });
    expect(await server.get('/internal/pending-tasks')).toEqual({ status: 200, body: { size: 0, tasks: [] } });
    expect(await server.get('/internal/ping')).toEqual({ status: 200, body: {} });
  });

  it('is healthy, and counted', async () => {
    expect(await server.get('/healthz')).toEqual({
      status: 200,
      body: { status: 'ok', version: VERSION, jobs: 0, fakeInference: false },
    });
    const { status, headers, text } = await server.raw('GET', '/metrics');
    expect([status, headers['content-type']]).toEqual([200, expect.stringMatching(/^text\/plain/)]);
    expect(text).toMatch(/^sdgen_jobs_open 0$/m);
    expect(text).toMatch(/sdgen_http_request_seconds_count\{method="GET",route="\/healthz",status="200"\} 1/);
  });
});

describe('models', () => {
  it('are refreshed, unloaded and loaded again', async () => {
    for (const name of ['checkpoints', 'vae', 'embeddings', 'loras']) {
      expect(await server.post(`/sdapi/v1/refresh-${name}`)).toMatchObject({ status: 200, body: null });
    }
    expect(await server.post('/sdapi/v1/unload-checkpoint')).toMatchObject({ status: 200, body: {} });
    expect(await server.post('/sdapi/v1/reload-checkpoint', {})).toMatchObject({ status: 200, body: {} });
    const [entry] = (await server.get('/sdapi/v1/sd-models')).body as [{ title: string; hash: string }];
    expect(entry.title).toBe(`micro1.safetensors [${entry.hash}]`);
  });
});

describe('POST /sdapi/v1/png-info', () => {
  const pixels = new Uint8Array(8 * 8 * 3);
  const text = 'a fox\nNegative prompt: dull\nSteps: 20, Sampler: Euler a, CFG scale: 7.0, Seed: 5, Size: 8x16';
  const ask = async (file: Buffer, prefix = '') =>
    server.post('/sdapi/v1/png-info', { image: prefix + file.toString('base64') });

  it('reads what a PNG says, as base64 and as a data URL', async () => {
    const texts = [
      { keyword: 'parameters', text },
      { keyword: 'Author', text: 'me' },
    ];
    const file = await encodePng(pixels, 8, 8, texts);
    const { status, body } = await ask(file);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      info: text,
      items: { Author: 'me' },
      parameters: {
        ...{ Prompt: 'a fox', 'Negative prompt': 'dull', Steps: '20', Sampler: 'Euler a', Seed: '5' },
        ...{ 'Size-1': '8', 'Size-2': '16', RNG: 'GPU', 'Clip skip': '1' },
      },
    });
    expect((await ask(file, 'data:image/png;base64,')).body).toEqual(body);
  });

  it('reads EXIF, and says nothing of a picture that says nothing', async () => {
    const jpeg = await encodePicture(
      { rgb: pixels, width: 8, height: 8 },
      { format: 'jpeg', quality: 90, parameters: text },
    );
    expect((await ask(jpeg)).body).toMatchObject({ info: text });
    expect((await ask(await encodePng(pixels, 8, 8))).body).toEqual({ info: '', items: {}, parameters: {} });
  });

  it('refuses what is no picture', async () => {
    const damaged = await readFile(join(import.meta.dirname, '../../package.json'));
    expect((await ask(damaged)).status).toBe(422);
    for (const image of ['', '***', 'data:image/png;base64,', 'data:text/html;base64,AAAA']) {
      expect(await server.post('/sdapi/v1/png-info', { image })).toMatchObject({
        status: 422,
        body: { detail: 'Invalid encoded image' },
      });
    }
    expect(await server.post('/sdapi/v1/png-info', {})).toMatchObject({
      status: 422,
      body: { detail: [{ loc: ['body', 'image'], msg: 'field required', type: 'value_error.missing' }] },
    });
  });
});

/** Routes whose tests stand below or in files of their own. */
const TESTED = [
  ...['txt2img', 'img2img', 'interrupt', 'skip', 'options', 'png-info'].map((path) => `post /sdapi/v1/${path}`),
  ...['extra-single-image', 'extra-batch-images'].map((path) => `post /sdapi/v1/${path}`),
  ...['checkpoints', 'vae', 'embeddings', 'loras'].map((path) => `post /sdapi/v1/refresh-${path}`),
  ...['unload-checkpoint', 'reload-checkpoint'].map((path) => `post /sdapi/v1/${path}`),
  'get /sdapi/v1/progress',
  'post /internal/progress',
  'get /internal/pending-tasks',
  'get /internal/ping',
  'post /v1/jobs',
  'get /v1/jobs',
  'get /v1/jobs/{id}',
  'get /v1/jobs/{id}/events',
  'delete /v1/jobs/{id}',
  'get /v1/model',
  'get /healthz',
];

describe('the OpenAPI document', () => {
  it('has every route and a page without a network', async () => {
    const { status, body } = await server.get('/openapi.json');
    expect(status).toBe(200);
    const { openapi, paths } = body as { openapi: string; paths: Record<string, object> };
    expect(openapi).toBe('3.1.0');
    const routes = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((one) => `${one} ${path}`),
    );
    // A route that is not named here has no test of its status and shape.
    const lists = [...GETS.map(([path]) => `get /sdapi/v1/${path}`), 'get /sdapi/v1/prompt-styles'];
    expect(routes.sort()).toEqual([...new Set([...lists, ...TESTED])].sort());
    const page = await server.raw('GET', '/docs/');
    expect([page.status, page.headers['content-type']]).toEqual([200, expect.stringMatching(/^text\/html/)]);
    expect(page.text).not.toMatch(/(src|href)="https?:/);
  });
});
