import { mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeTinyModel } from '../../scripts/make-tiny-model.mjs';
import { TestServer } from '../support/server.js';
import { tinyModelPath } from '../support/tiny-model.js';

let server: TestServer;
let scratch: string;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'sdgen-vae-'));
  const other = join(scratch, 'seed8.safetensors');
  await makeTinyModel({ path: other, arch: 'micro1', seed: 8, threads: 1 });
  const own = await tinyModelPath();
  server = await TestServer.start({
    models: { 'micro1.safetensors': own, 'micro1.vae.safetensors': other, 'seed8.safetensors': other },
  });
});
afterAll(async () => {
  await server.stop();
  await rm(scratch, { recursive: true, force: true });
});

const SMALL = { prompt: 'a fox', steps: 2, width: 64, height: 64, seed: 7 };

/** The picture, and the VAE that its info and its parameters name. */
async function make(sdVae?: string) {
  const override = sdVae === undefined ? {} : { override_settings: { sd_vae: sdVae } };
  const { status, body } = await server.post('/sdapi/v1/txt2img', { ...SMALL, ...override });
  expect([status, body]).toEqual([200, expect.anything()]);
  const { images, info } = body as { images: string[]; info: string };
  const { sd_vae_name: name, sd_vae_hash: hash, infotexts } = JSON.parse(info);
  return { image: images[0], name, hash, infotext: String(infotexts[0]) };
}

describe('sd_vae', () => {
  it('lists VAEs by file name, and keeps them from the checkpoints', async () => {
    const vaes = (await server.get('/sdapi/v1/sd-vae')).body;
    expect(vaes).toEqual([
      { model_name: 'micro1.vae.safetensors', filename: join(server.folder, 'models/micro1.vae.safetensors') },
    ]);
    const models = (await server.get('/sdapi/v1/sd-models')).body as { model_name: string }[];
    expect(models.map(({ model_name }) => model_name)).not.toContain('micro1.vae');
    expect(models.map(({ model_name }) => model_name)).toContain('micro1');
  });

  it("is Automatic: the one beside the checkpoint; None is the checkpoint's own", async () => {
    const automatic = await make();
    expect(automatic).toMatchObject({ name: 'micro1.vae.safetensors', hash: expect.stringMatching(/^[0-9a-f]{10}$/) });
    expect(automatic.infotext).toContain(`VAE hash: ${automatic.hash}, VAE: micro1.vae.safetensors`);
    expect(await make('Automatic')).toEqual(automatic);
    const none = await make('None');
    expect(none).toMatchObject({ name: null, hash: null, infotext: expect.not.stringContaining('VAE') });
    expect(none.image).not.toBe(automatic.image);
    for (const name of ['micro1.vae.safetensors', 'MICRO1.vae']) expect(await make(name)).toEqual(automatic);
    const named = await make('seed8.safetensors');
    expect(named).toMatchObject({ name: 'seed8.safetensors', hash: automatic.hash });
    await rename(join(server.folder, 'models/micro1.vae.safetensors'), join(server.folder, 'aside'));
    expect((await make()).name).toBeNull();
    await rename(join(server.folder, 'aside'), join(server.folder, 'models/micro1.vae.safetensors'));
  });

  it('is set for later runs; one that is not there is refused where the webui goes on without it', async () => {
    expect((await server.post('/sdapi/v1/options', { sd_vae: 'None' })).status).toBe(200);
    expect((await server.get('/sdapi/v1/options')).body).toMatchObject({ sd_vae: 'None' });
    expect((await make()).name).toBeNull();
    expect((await make('Automatic')).name).toBe('micro1.vae.safetensors');
    const { status, body } = await server.post('/sdapi/v1/options', { sd_vae: 'gone.safetensors', jpeg_quality: 3 });
    expect([status, body]).toEqual([
      404,
      expect.objectContaining({ detail: expect.stringContaining('no VAE "gone.saf') }),
    ]);
    expect((await server.get('/sdapi/v1/options')).body).toMatchObject({ sd_vae: 'None', jpeg_quality: 80 });
    for (const path of ['../models/micro1.vae.safetensors', '/etc/passwd']) {
      const refused = await server.post('/sdapi/v1/txt2img', { ...SMALL, override_settings: { sd_vae: path } });
      expect(refused.status).toBe(404);
    }
    await server.post('/sdapi/v1/options', { sd_vae: 'Automatic' });
  });
});
