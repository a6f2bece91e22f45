import { monitorEventLoopDelay } from 'node:perf_hooks';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { boxMask, pngOf, scene } from '../support/pictures.js';
import { TestServer } from '../support/server.js';

const SIDE = 768;
let server: TestServer;
let image: string;
let mask: string;
beforeAll(async () => {
  server = await TestServer.start({ fake: true, limits: { pixels: SIDE * SIDE, bodyBytes: 32e6 } });
  image = (await pngOf(scene(SIDE, SIDE))).toString('base64');
  mask = (await pngOf(boxMask(SIDE, SIDE, [200, 200, 500, 500]))).toString('base64');
});
afterAll(() => server.stop());

/** The share of a request's time in which the event loop stood still at a stretch. */
async function stalledShare(path: string, body: object): Promise<number> {
  const stalls = monitorEventLoopDelay({ resolution: 1 });
  const text = JSON.stringify(body);
  stalls.enable();
  const begin = performance.now();
  const { status } = await server.raw('POST', path, { 'content-type': 'application/json' }, text);
  const milliseconds = performance.now() - begin;
  stalls.disable();
  expect(status).toBe(200);
  return stalls.max / 1e6 / milliseconds;
}

// Shares, not times: a busy machine makes both longer. Without a thread of their own they are 0.8 and more.
describe('large pictures', () => {
  it('are prepared and put over results while the server answers others', async () => {
    const usual = { width: SIDE, height: SIDE, init_images: [image], mask, steps: 2, inpaint_full_res: false };
    expect(await stalledShare('/sdapi/v1/img2img', { ...usual, inpainting_fill: 0 })).toBeLessThan(0.4);
    const correction = { override_settings: { img2img_color_correction: true } };
    expect(await stalledShare('/sdapi/v1/img2img', { ...usual, inpainting_fill: 1, ...correction })).toBeLessThan(0.4);
  });

  it('are resized while the server answers others', async () => {
    const body = { image, upscaler_1: 'Lanczos', upscaling_resize: 2 };
    expect(await stalledShare('/sdapi/v1/extra-single-image', body)).toBeLessThan(0.4);
  });
});
