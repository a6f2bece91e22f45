import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestServer } from '../support/server.js';
import { tinyModelPath } from '../support/tiny-model.js';

let server: TestServer;
beforeAll(async () => {
  const [one, two] = await Promise.all([tinyModelPath('micro1'), tinyModelPath('micro2')]);
  server = await TestServer.start({ models: { 'micro1.safetensors': one, 'other.safetensors': two } });
});
afterAll(() => server.stop());

const SMALL = { prompt: 'a fox', steps: 2, width: 64, height: 64, seed: 7 };
const options = async () => (await server.get('/sdapi/v1/options')).body as Record<string, unknown>;
const set = (body: object) => server.post('/sdapi/v1/options', body);

describe('POST /sdapi/v1/options', () => {
  it('changes all of it or nothing, for later runs', async () => {
    expect(await set({ samples_format: 'webp', eta_noise_seed_delta: '5', live_previews_enable: false })).toMatchObject(
      {
        status: 200,
        body: null,
      },
    );
    expect(await options()).toMatchObject({
      samples_format: 'webp',
      eta_noise_seed_delta: 5,
      live_previews_enable: false,
    });
    for (const wrong of [
      { samples_format: 'bmp', jpeg_quality: 50 },
      { jpeg_quality: 50, nonsense: 1 },
      { jpeg_quality: 50, s_noise: 7 },
      { jpeg_quality: 50, tiling: true },
      { jpeg_quality: 50, CLIP_stop_at_last_layers: 0 },
      { jpeg_quality: 50, return_grid: 'perhaps' },
      { jpeg_quality: 50, randn_source: null },
      // What would change pictures or files and is not built.
      { jpeg_quality: 50, use_downcasted_alpha_bar: true },
      { jpeg_quality: 50, upscaler_for_img2img: 'Lanczos' },
      { jpeg_quality: 50, samples_filename_pattern: '[seed]' },
      { jpeg_quality: 50, save_txt: true },
    ]) {
      const { status, body } = await set(wrong);
      expect([status, JSON.stringify(body)]).toEqual([
        422,
        expect.stringContaining(Object.keys(wrong).find((key) => key !== 'jpeg_quality') ?? 'bmp'),
      ]);
    }
    expect(await options()).toMatchObject({ jpeg_quality: 80, samples_format: 'webp' });
    // A client that sends everything back as it was changes nothing.
    expect(await set((await options()) as object)).toMatchObject({ status: 200 });
    const { body } = await server.post('/sdapi/v1/txt2img', SMALL);
    expect(Buffer.from((body as { images: string[] }).images[0] ?? '', 'base64').toString('latin1', 8, 12)).toBe(
      'WEBP',
    );
    await set({ samples_format: 'png', eta_noise_seed_delta: 0, live_previews_enable: true });
  });

  it('does not touch a run that is under way', async () => {
    const running = server.post('/sdapi/v1/txt2img', { ...SMALL, steps: 40 });
    await expect.poll(async () => server.listening.app.services.jobs.active !== undefined).toBe(true);
    await set({ samples_format: 'jpg' });
    const image = ((await running).body as { images: string[] }).images[0] ?? '';
    expect(Buffer.from(image, 'base64').toString('latin1', 1, 4)).toBe('PNG');
    await set({ samples_format: 'png' });
  });

  it('keeps options that the webui keeps from its API', async () => {
    expect((await set({ api_enable_requests: true, api_useragent: 'x' })).status).toBe(200);
    expect(await options()).not.toHaveProperty('api_enable_requests');
  });
});

describe('sd_model_checkpoint', () => {
  const modelOf = async (body: object) => {
    const { status, body: answer } = await server.post('/sdapi/v1/txt2img', { ...SMALL, ...body });
    return status === 200 ? JSON.parse((answer as { info: string }).info).sd_model_name : status;
  };

  it('is named by title, file, stem, hash and a part of its title, for one request or for all', async () => {
    const names = ['other.safetensors', 'other', 'OTHER', 'othe'];
    for (const name of names) {
      expect(await modelOf({ override_settings: { sd_model_checkpoint: name } })).toBe('other');
    }
    expect(await modelOf({})).toBe('micro1');
    const models = (await server.get('/sdapi/v1/sd-models')).body as { title: string; hash: string }[];
    const other = models.find(({ title }) => title.startsWith('other'));
    expect(await modelOf({ override_settings: { sd_model_checkpoint: other?.title } })).toBe('other');
    expect(await modelOf({ override_settings: { sd_model_checkpoint: other?.hash } })).toBe('other');
    expect((await set({ sd_model_checkpoint: other?.title })).status).toBe(200);
    expect(await options()).toMatchObject({ sd_model_checkpoint: other?.title });
    expect(await modelOf({})).toBe('other');
    expect((await set({ sd_model_checkpoint: 'gone', jpeg_quality: 7 })).status).toBe(404);
    expect(await options()).toMatchObject({ sd_model_checkpoint: other?.title, jpeg_quality: 80 });
    expect(await modelOf({ override_settings: { sd_model_checkpoint: '../models/other' } })).toBe(404);
  });
});
