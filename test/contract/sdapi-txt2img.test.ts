import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readImageInfo } from '../../src/image/codec.js';
import { generationResponse, txt2imgBody } from '../../src/server/sdapi/bodies.js';
import { CliSandbox } from '../support/cli.js';
import { TestServer } from '../support/server.js';
import { tinyModelPath } from '../support/tiny-model.js';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());

const SMALL = { prompt: 'a fox', steps: 2, width: 64, height: 64, seed: 7 };
const INFO_KEYS = [
  ...['prompt', 'all_prompts', 'negative_prompt', 'all_negative_prompts', 'seed', 'all_seeds', 'subseed'],
  ...['all_subseeds', 'subseed_strength', 'width', 'height', 'sampler_name', 'cfg_scale', 'steps', 'batch_size'],
  ...['restore_faces', 'face_restoration_model', 'sd_model_name', 'sd_model_hash', 'sd_vae_name', 'sd_vae_hash'],
  ...['seed_resize_from_w', 'seed_resize_from_h', 'denoising_strength', 'extra_generation_params'],
  ...['index_of_first_image', 'infotexts', 'styles', 'job_timestamp', 'clip_skip'],
  ...['is_using_inpainting_conditioning', 'version'],
];

async function make(body: object) {
  const { status, body: answer } = await server.post('/sdapi/v1/txt2img', { ...SMALL, ...body });
  expect({ status, answer: status === 200 ? 0 : answer }).toEqual({ status: 200, answer: 0 });
  const parsed = generationResponse.parse(answer);
  return {
    ...parsed,
    info: JSON.parse(parsed.info),
    files: parsed.images.map((image) => Buffer.from(image, 'base64')),
  };
}

describe('POST /sdapi/v1/txt2img', () => {
  it('answers pictures of the asked size with the parameters that info tells', async () => {
    const { files, info, parameters } = await make({ width: 72, height: 64, batch_size: 2, n_iter: 2 });
    expect(files).toHaveLength(4);
    expect(Object.keys(info)).toEqual(INFO_KEYS);
    expect(Object.keys(parameters)).toEqual(Object.keys(txt2imgBody.shape));
    expect(info.all_seeds).toEqual([7, 8, 9, 10]);
    expect(info.infotexts).toHaveLength(4);
    for (const [i, file] of files.entries()) {
      const { format, width, height, texts } = await readImageInfo(file);
      expect({ format, width, height }).toEqual({ format: 'png', width: 72, height: 64 });
      expect(texts).toEqual([{ keyword: 'parameters', text: info.infotexts[i] }]);
    }
  });

  it("gives the bytes of the command line's picture", async () => {
    const { files } = await make({ sampler_name: 'Euler a', negative_prompt: 'dull', cfg_scale: 5.5 });
    const box = await CliSandbox.create({ 'micro1.safetensors': await readFile(await tinyModelPath()) });
    try {
      const flags = ['-p', 'a fox', '-n', 'dull', '--sampler', 'Euler a', '--cfg-scale', '5.5', '--seed', '7'];
      const size = ['--steps', '2', '--width', '64', '--height', '64', '-m', 'micro1', '--device', 'reference'];
      const { code, out } = await box.run(['txt2img', ...flags, ...size, '--json']);
      expect(code).toBe(0);
      const sha256 = createHash('sha256')
        .update(files[0] ?? '')
        .digest('hex');
      expect(sha256).toBe(JSON.parse(out).files[0].fileSha256);
    } finally {
      await box.remove();
    }
  });

  it('takes numbers as text, nulls as defaults, drops unknown fields and cuts sides to whole cells', async () => {
    const { info, parameters } = await make({
      steps: '3',
      cfg_scale: '4.5',
      width: '70',
      send_images: 'true',
      negative_prompt: null,
      n_iter: null,
      nonsense: 1,
    });
    expect(info).toMatchObject({ steps: 3, cfg_scale: 4.5, width: 64 });
    expect(parameters).toMatchObject({ steps: 3, width: 70, n_iter: 1 });
    expect(parameters).not.toHaveProperty('nonsense');
  });

  it("resolves samplers and schedules as the webui's API does", async () => {
    const label = async (body: object) => {
      const { info } = await make(body);
      return [info.sampler_name, /Schedule type: ([^,]+)/.exec(info.infotexts[0])?.[1]];
    };
    expect(await label({})).toEqual(['Euler', 'Automatic']);
    expect(await label({ sampler_name: 'DPM++ 2M Karras' })).toEqual(['DPM++ 2M', 'Karras']);
    expect(await label({ sampler_name: 'Euler', scheduler: 'Exponential' })).toEqual(['Euler', 'Exponential']);
    expect(await label({ sampler_index: 'Heun', scheduler: null })).toEqual(['Heun', 'Automatic']);
    const unknown = await server.post('/sdapi/v1/txt2img', { ...SMALL, sampler_name: 'k_euler' });
    expect(unknown).toMatchObject({ status: 400, body: { error: 'HTTPException', detail: 'Sampler not found' } });
  });

  it('reads override_settings for this request alone, also when it fails', async () => {
    const before = await server.get('/sdapi/v1/options');
    const override_settings = { CLIP_stop_at_last_layers: 2, samples_format: 'jpg', eta_noise_seed_delta: 31337 };
    const { info, files } = await make({ sampler_name: 'Euler a', override_settings });
    expect(info.clip_skip).toBe(2);
    expect(info.infotexts[0]).toMatch(/ENSD: 31337/);
    expect((await readImageInfo(files[0] ?? Buffer.alloc(0))).texts[0]?.text).toBe(info.infotexts[0]);
    const failing = { ...SMALL, prompt: '<lora:x:1>', override_settings: { CLIP_stop_at_last_layers: 5 } };
    expect((await server.post('/sdapi/v1/txt2img', failing)).status).toBe(422);
    expect(await server.get('/sdapi/v1/options')).toEqual(before);
  });

  it('refuses by name what is not built, and takes its defaults', async () => {
    const refused: [object, string][] = [
      [{ restore_faces: true }, 'restore_faces'],
      [{ tiling: true }, 'tiling'],
      [{ refiner_checkpoint: 'x.safetensors' }, 'refiner_checkpoint'],
      [{ s_min_uncond: 0.5 }, 's_min_uncond'],
      [{ override_settings: { token_merging_ratio: 0.5 } }, 'token_merging_ratio'],
      [{ override_settings: { sd_vae_: 1 } }, 'sd_vae_'],
      [{ override_settings_restore_afterwards: false }, 'override_settings_restore_afterwards'],
      [{ alwayson_scripts: { Seed: { args: [1, true] } } }, 'alwayson_scripts'],
      [{ prompt: 'x <lora:y:1>' }, 'prompt'],
      [{ styles: ['nothing'] }, 'styles'],
      [{ steps: 151 }, 'steps'],
      [{ steps: 0 }, 'steps'],
      [{ width: 1024, height: 1024 }, 'width'],
      [{ batch_size: 8, n_iter: 3 }, 'n_iter'],
      [{ seed: 'x' }, 'seed'],
      [{ prompt: ['a'] }, 'prompt'],
    ];
    for (const [body, field] of refused) {
      const { status, body: answer } = await server.post('/sdapi/v1/txt2img', { ...SMALL, ...body });
      expect({ status, loc: (answer as { detail: [{ loc: string[] }] }).detail[0].loc.slice(0, 2) }).toEqual({
        status: 422,
        loc: ['body', field],
      });
    }
    await make({
      restore_faces: false,
      tiling: false,
      refiner_checkpoint: 'None',
      refiner_switch_at: 0.8,
      enable_hr: false,
      hr_scale: 2,
      script_name: '',
      script_args: [],
      alwayson_scripts: {
        Sampler: {},
        refiner: { args: [false, '', 0.8] },
        ControlNet: { args: [{ enabled: false }] },
      },
    });
  });

  it("answers scripts and checkpoints that are not there in the webui's words", async () => {
    const ask = async (body: object) => (await server.post('/sdapi/v1/txt2img', { ...SMALL, ...body })).body;
    expect(await ask({ script_name: 'X/Y/Z plot' })).toMatchObject({ detail: "Script 'X/Y/Z plot' not found" });
    expect(await ask({ alwayson_scripts: { Nope: {} } })).toMatchObject({ detail: "Script 'Nope' not found" });
    expect(await ask({ alwayson_scripts: { 'x/y/z plot': {} } })).toMatchObject({
      detail: 'Cannot have a selectable script in the always on scripts params',
    });
    const model = await server.post('/sdapi/v1/txt2img', {
      ...SMALL,
      override_settings: { sd_model_checkpoint: '/etc/passwd' },
    });
    expect(model.status).toBe(404);
  });

  it('answers wrong bodies as FastAPI does', async () => {
    const json = { 'content-type': 'application/json' };
    const broken = await server.raw('POST', '/sdapi/v1/txt2img', json, '{"prompt": ');
    expect([broken.status, JSON.parse(broken.text).detail[0].type]).toEqual([422, 'value_error.jsondecode']);
    const wrong = await server.post('/sdapi/v1/txt2img', { steps: 'many', cfg_scale: null, width: 8 });
    expect(wrong).toMatchObject({
      status: 422,
      body: {
        detail: [
          { loc: ['body', 'steps'], type: 'type_error.integer' },
          { loc: ['body', 'width'], type: 'value_error.number.not_ge' },
        ],
      },
    });
    expect((await server.post('/sdapi/v1/txt2img', [1])).body).toMatchObject({ detail: [{ type: 'type_error.dict' }] });
    expect((await server.post('/sdapi/v1/txt2img')).body).toMatchObject({ detail: [{ loc: ['body'] }] });
  });

  it('leaves pictures out of the answer, and saves them and a grid under the output folder', async () => {
    expect((await make({ send_images: false })).images).toEqual([]);
    const { files, info } = await make({ save_images: true, n_iter: 2 });
    expect(files).toHaveLength(3);
    expect(info.index_of_first_image).toBe(1);
    expect(info.infotexts).toHaveLength(3);
    const [day = ''] = await readdir(join(server.folder, 'outputs', 'txt2img-images'));
    expect(day).toMatch(/^\d{4}-\d\d-\d\d$/);
    const images = join(server.folder, 'outputs', 'txt2img-images', day);
    expect((await readdir(images)).sort()).toEqual(['00001-7.png', '00002-8.png']);
    expect(await readFile(join(images, '00001-7.png'))).toEqual(files[1]);
    const grids = join(server.folder, 'outputs', 'txt2img-grids', day);
    expect(await readFile(join(grids, 'grid-0001.png'))).toEqual(files[0]);
  });
});
