import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readImageInfo } from '../../src/image/codec.js';
import { readPicture } from '../../src/image/read-picture.js';
import { generationResponse, img2imgBody } from '../../src/server/sdapi/bodies.js';
import { CliSandbox } from '../support/cli.js';
import { boxMask, pngOf, scene } from '../support/pictures.js';
import { TestServer } from '../support/server.js';
import { tinyModelPath } from '../support/tiny-model.js';

let server: TestServer;
let image: Buffer;
let mask: Buffer;
beforeAll(async () => {
  server = await TestServer.start();
  image = await pngOf(scene(64, 64));
  mask = await pngOf(boxMask(64, 64, [16, 16, 48, 40]));
});
afterAll(() => server.stop());

const SMALL = { prompt: 'a fox', steps: 4, width: 64, height: 64, seed: 7, sampler_name: 'Euler' };
const base64 = (bytes: Buffer): string => bytes.toString('base64');

async function make(body: object) {
  const asked = { ...SMALL, init_images: [base64(image)], ...body };
  const { status, body: answer } = await server.post('/sdapi/v1/img2img', asked);
  expect({ status, answer: status === 200 ? 0 : answer }).toEqual({ status: 200, answer: 0 });
  const parsed = generationResponse.parse(answer);
  const files = parsed.images.map((file) => Buffer.from(file, 'base64'));
  return { ...parsed, info: JSON.parse(parsed.info), files };
}
const refusal = async (body: object) => {
  const { status, body: answer } = await server.post('/sdapi/v1/img2img', { ...SMALL, ...body });
  return { status, text: JSON.stringify(answer) };
};

describe('POST /sdapi/v1/img2img', () => {
  it('answers a picture, tells what was done and does not send the picture back', async () => {
    const { files, info, parameters } = await make({ init_images: [`data:image/png;base64,${base64(image)}`] });
    expect(files).toHaveLength(1);
    expect(Object.keys(parameters)).toEqual(Object.keys(img2imgBody.shape));
    expect(parameters).toMatchObject({ init_images: null, mask: null, denoising_strength: 0.75, resize_mode: 0 });
    expect(info).toMatchObject({ denoising_strength: 0.75, width: 64, steps: 4 });
    expect(info.infotexts[0]).toContain('Denoising strength: 0.75');
    const facts = await readImageInfo(files[0] ?? Buffer.alloc(0));
    expect([facts.width, facts.height]).toEqual([64, 64]);
    const kept = await make({ include_init_images: true });
    expect(kept.parameters.init_images).toEqual([base64(image)]);
  });

  it("gives the bytes of the command line's picture", async () => {
    const { files } = await make({ denoising_strength: 0.6, cfg_scale: 5 });
    const box = await CliSandbox.create({ 'micro1.safetensors': await readFile(await tinyModelPath()) });
    try {
      await writeFile(box.path('in.png'), image);
      const flags = ['-p', 'a fox', '--sampler', 'Euler', '--cfg-scale', '5', '--seed', '7', '--steps', '4'];
      const here = ['-m', 'micro1', '--device', 'reference', '--denoising-strength', '0.6', '--json'];
      const { code, out, err } = await box.run(['img2img', 'in.png', ...flags, ...here]);
      expect({ code, err }).toMatchObject({ code: 0 });
      const sha256 = createHash('sha256')
        .update(files[0] ?? '')
        .digest('hex');
      expect(JSON.parse(out).files[0].fileSha256).toBe(sha256);
    } finally {
      await box.remove();
    }
  });

  it('keeps what a mask covers, of the whole picture and of the masked part alone', async () => {
    const repaint = { mask: base64(mask), mask_blur: 0, inpainting_fill: 1 };
    const { pixels: before } = await readPicture(image);
    for (const body of [{ inpaint_full_res: false }, { inpaint_full_res: true, inpaint_full_res_padding: 4 }]) {
      const { files, info } = await make({ ...repaint, ...body });
      const { pixels: after } = await readPicture(files[0] ?? Buffer.alloc(0));
      const differs = (x: number, y: number) =>
        [0, 1, 2].some((c) => after.data[(y * 64 + x) * 3 + c] !== before.data[(y * 64 + x) * 3 + c]);
      let changed = 0;
      for (let y = 0; y < 64; y += 1) {
        for (let x = 0; x < 64; x += 1) {
          const isMasked = x >= 16 && x < 48 && y >= 16 && y < 40;
          if (isMasked) changed += differs(x, y) ? 1 : 0;
          else expect(differs(x, y), `${x},${y}`).toBe(false);
        }
      }
      expect(changed).toBeGreaterThan(300);
      expect(info.extra_generation_params['Inpaint area']).toBe(body.inpaint_full_res ? 'Only masked' : undefined);
    }
  });

  it('gives a picture of the whole size where only a part is made, and other pictures for other fills', async () => {
    const large = await pngOf(scene(96, 80));
    const wide = await pngOf(boxMask(96, 80, [10, 10, 40, 30]));
    const body = { init_images: [base64(large)], mask: base64(wide), inpaint_full_res_padding: 8 };
    const seen = new Set<string>();
    for (const inpainting_fill of [0, 1, 2, 3]) {
      const { files, info } = await make({ ...body, inpainting_fill });
      const { width, height } = await readImageInfo(files[0] ?? Buffer.alloc(0));
      expect([width, height, info.width, info.height]).toEqual([96, 80, 64, 64]);
      seen.add(base64(files[0] ?? Buffer.alloc(0)));
    }
    expect(seen.size).toBe(4);
  });

  it('takes several pictures in one batch, each as if it were alone with its seed', async () => {
    const other = await pngOf(scene(64, 72));
    const both = await make({ init_images: [base64(image), base64(other)], batch_size: 2 });
    const alone = await make({ init_images: [base64(other)], seed: 8 });
    expect(both.files).toHaveLength(2);
    const pixelsOf = async (file: Buffer | undefined) => (await readPicture(file ?? Buffer.alloc(0))).pixels.data;
    expect(await pixelsOf(both.files[1])).toEqual(await pixelsOf(alone.files[0]));
  });

  it('reads the settings of the webui for this request alone', async () => {
    const { info } = await make({ override_settings: { img2img_fix_steps: true, img2img_extra_noise: 0.1 } });
    expect(info.extra_generation_params).toMatchObject({ 'Exact steps': true, 'Extra noise': 0.1 });
  });

  it('says what is wrong: no picture, none that can be read, too many, a latent mask', async () => {
    expect(await refusal({})).toMatchObject({ status: 404, text: expect.stringContaining('Init image not found') });
    expect(await refusal({ init_images: [] })).toMatchObject({ status: 404 });
    expect(await refusal({ init_images: ['no base64 !'] })).toMatchObject({ status: 422 });
    expect((await refusal({ init_images: [base64(Buffer.from('no image'))] })).status).toBeGreaterThanOrEqual(400);
    const two = [base64(image), base64(image)];
    expect(await refusal({ init_images: two })).toMatchObject({
      status: 422,
      text: expect.stringContaining('batch_size'),
    });
    const latent = await refusal({ init_images: [base64(image)], latent_mask: base64(mask) });
    expect(latent).toMatchObject({ status: 422, text: expect.stringContaining('latent_mask') });
    const strong = await refusal({ init_images: [base64(image)], denoising_strength: 1.5 });
    expect(strong).toMatchObject({ status: 422, text: expect.stringContaining('denoising_strength') });
  });

  it('is also a job with an id', async () => {
    const { status, body } = await server.post('/v1/jobs', { ...SMALL, init_images: [base64(image)] });
    expect(status).toBe(202);
    const { id, kind } = body as { id: string; kind: string };
    expect(kind).toBe('img2img');
    let job: { state: string; result: { images: string[] } | null } = { state: '', result: null };
    for (let i = 0; i < 200 && !['done', 'failed'].includes(job.state); i += 1) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      job = (await server.get(`/v1/jobs/${encodeURIComponent(id)}`)).body as typeof job;
    }
    expect(job.state).toBe('done');
    const { files } = await make({});
    const pixelsOf = async (file: Buffer) => (await readPicture(file)).pixels.data;
    expect(await pixelsOf(Buffer.from(job.result?.images[0] ?? '', 'base64'))).toEqual(
      await pixelsOf(files[0] ?? Buffer.alloc(0)),
    );
  });
});
