import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generationResponse } from '../../src/server/sdapi/bodies.js';
import { EditableSafetensors } from '../support/edit-safetensors.js';
import { pngOf, scene } from '../support/pictures.js';
import { TestServer } from '../support/server.js';
import { tinyModelPath } from '../support/tiny-model.js';

let server: TestServer;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sdgen-stated-'));
  const plain = await tinyModelPath();
  const stated = new EditableSafetensors(plain);
  const settings = { steps: '3', width: '64', height: '72', cfg_scale: '2.5', sampler: 'Heun', scheduler: 'Karras' };
  for (const [name, value] of Object.entries(settings)) stated.metadata[`sdgen.default_${name}`] = value;
  stated.write(join(folder, 'stated.safetensors'));
  // The sides of the webui are more than this server makes: those that the model states must be looked at.
  const models = { 'micro1.safetensors': plain, 'stated.safetensors': join(folder, 'stated.safetensors') };
  server = await TestServer.start({ models, limits: { pixels: 128 * 128 } });
});
afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true });
});

const STATED = { override_settings: { sd_model_checkpoint: 'stated' }, prompt: 'a fox', seed: 1 };

async function parametersOf(path: string, body: object) {
  const { status, body: answer } = await server.post(`/sdapi/v1/${path}`, body);
  expect({ status, answer: status === 200 ? 0 : answer }).toEqual({ status: 200, answer: 0 });
  const { parameters, info } = generationResponse.parse(answer);
  return { parameters, info: JSON.parse(info) };
}

describe('a model that states its own settings', () => {
  it('gives them for what a request leaves out, and tells which they were', async () => {
    const { parameters, info } = await parametersOf('txt2img', STATED);
    const settings = { steps: 3, width: 64, height: 72, cfg_scale: 2.5, sampler_name: 'Heun' };
    expect(parameters).toMatchObject({ ...settings, scheduler: 'Karras' });
    expect(info).toMatchObject(settings);
    const init_images = [(await pngOf(scene(64, 64))).toString('base64')];
    const again = await parametersOf('img2img', { ...STATED, width: null, init_images });
    expect(again.parameters).toMatchObject(settings);
  });

  it('gives way to what a request says, in whole', async () => {
    const given = { steps: 2, cfg_scale: '7', width: 64, height: 64, sampler_index: 'Euler' };
    const { parameters } = await parametersOf('txt2img', { ...STATED, ...given });
    expect(parameters).toMatchObject({ ...given, cfg_scale: 7, sampler_name: null, scheduler: null });
    // One side alone: the other is the webui's.
    const { status, body } = await server.post('/sdapi/v1/txt2img', { ...STATED, width: 64 });
    expect({ status, text: JSON.stringify(body) }).toEqual({ status: 422, text: expect.stringContaining('64x512') });
  });

  it('leaves the defaults of the webui to others', async () => {
    const { status, body } = await server.post('/sdapi/v1/txt2img', { prompt: 'a fox' });
    expect({ status, text: JSON.stringify(body) }).toEqual({ status: 422, text: expect.stringContaining('512x512') });
    const { parameters } = await parametersOf('txt2img', { width: 64, height: 64, steps: 2 });
    expect(parameters).toMatchObject({ cfg_scale: 7, sampler_name: null, sampler_index: 'Euler' });
  });

  it('gives them to jobs too', async () => {
    const { status, body } = await server.post('/v1/jobs', STATED);
    expect({ status, body }).toMatchObject({ status: 202, body: { steps: 3 } });
  });
});
