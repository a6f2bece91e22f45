import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readImageInfo } from '../../src/image/codec.js';
import { stateOf } from '../../src/server/sdapi/progress.js';
import { TestServer } from '../support/server.js';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());

const SMALL = { prompt: 'a fox', steps: 2, width: 64, height: 48, seed: 7, enable_hr: true };
const post = (body: object) => server.post('/sdapi/v1/txt2img', { ...SMALL, ...body });

/** Size and info of the picture that a body gives. */
async function make(body: object) {
  const { status, body: answer } = await post(body);
  expect({ status, answer: status === 200 ? 0 : answer }).toEqual({ status: 200, answer: 0 });
  const { images, info } = answer as { images: string[]; info: string };
  const { width, height } = await readImageInfo(Buffer.from(images[0] ?? '', 'base64'));
  return { size: [width, height], info: JSON.parse(info) };
}

describe('txt2img with enable_hr', () => {
  it('goes over the picture again at hr_scale', async () => {
    const { size, info } = await make({});
    expect(size).toEqual([128, 96]);
    expect([info.width, info.height]).toEqual([64, 48]);
    expect(info.extra_generation_params).toMatchObject({ 'Hires upscale': '2.0', 'Hires upscaler': 'Latent' });
    expect(info.infotexts[0]).toContain('Size: 64x48');
    expect(info.infotexts[0]).toContain('Denoising strength: 0.75, Hires upscale: 2.0, Hires upscaler: Latent');
  });

  it('reads every field of the second pass', async () => {
    const { size, info } = await make({
      hr_resize_x: 96,
      hr_resize_y: 88,
      hr_upscaler: 'Lanczos',
      hr_second_pass_steps: 3,
      hr_sampler_name: 'Euler a',
      hr_scheduler: 'Karras',
      hr_checkpoint_name: 'Use same checkpoint',
      hr_prompt: 'a wolf',
      hr_negative_prompt: 'dull',
      denoising_strength: 0.5,
    });
    expect(size).toEqual([96, 88]);
    expect(info.infotexts[0]).toContain(
      'Denoising strength: 0.5, Hires sampler: Euler a, Hires prompt: a wolf, Hires negative prompt: dull, ' +
        'Hires schedule type: Karras, Hires resize: 96x88, Hires steps: 3, Hires upscaler: Lanczos',
    );
  });

  it('counts each pass as a job of its own in the progress, as the webui does', async () => {
    const { body } = await server.post('/v1/jobs', { ...SMALL, n_iter: 2, hr_second_pass_steps: 3 });
    const job = server.listening.app.services.jobs.find(String(Reflect.get(Object(body), 'id')));
    const seen = new Set<string>();
    const note = (): void => {
      const { job_count, job_no, sampling_step, sampling_steps } = stateOf(job);
      seen.add(`${job_no} of ${job_count}: ${sampling_step} of ${sampling_steps}`);
    };
    job?.on('step', note);
    await new Promise<void>((resolve) => job?.once('ended', resolve));
    // The first steps may be over before anybody listens.
    expect([...seen]).toEqual(expect.arrayContaining([2, 1].map((step) => `2 of 4: ${step} of 2`)));
    expect([...seen]).toEqual(expect.arrayContaining([1, 2, 3].map((step) => `3 of 4: ${step} of 3`)));
    expect([...seen].every((state) => /^[02] of 4: [12] of 2$|^[13] of 4: [123] of 3$/.test(state))).toBe(true);
  });

  it('knows what stands for the first pass, and the old way of two sizes', async () => {
    const same = { hr_sampler_name: 'Use same sampler', hr_scheduler: 'Use same scheduler', hr_upscaler: null };
    expect((await make(same)).info.infotexts[0]).not.toContain('Hires sampler');
    const old = await make({ width: 128, height: 64, firstphase_width: 64, firstphase_height: 32 });
    expect(old.size).toEqual([128, 64]);
    expect([old.info.width, old.info.height]).toEqual([64, 32]);
  });

  it('means nothing without enable_hr', async () => {
    const { size, info } = await make({ enable_hr: false, hr_upscaler: 'ESRGAN', hr_resize_x: 640 });
    expect(size).toEqual([64, 48]);
    expect(info.infotexts[0]).not.toContain('Hires');
  });

  it.each([
    [{ hr_upscaler: 'ESRGAN_4x' }, 'hr_upscaler'],
    [{ hr_sampler_name: 'Oiler' }, 'hr_sampler_name'],
    [{ hr_scheduler: 'carras' }, 'hr_scheduler'],
    [{ hr_checkpoint_name: 'other' }, 'hr_checkpoint_name'],
    [{ hr_scale: 16 }, 'hr_scale'],
    [{ hr_second_pass_steps: 500 }, 'hr_second_pass_steps'],
    [{ denoising_strength: 0 }, 'denoising_strength'],
    [{ firstphase_width: 64 }, 'firstphase_width'],
    [{ hr_second_pass_steps: 140, denoising_strength: 0.1 }, 'hr_second_pass_steps'],
  ])('refuses %j by name', async (body, field) => {
    const { status, body: answer } = await post(body);
    expect(status).toBe(422);
    expect(JSON.stringify(answer)).toContain(field);
  });
});
