#!/usr/bin/env node
/**
 * How long a server's event loop stands still while it prepares large pictures: an inpainting request of 2048x2048 pixels
 * with fills, answered by the stand-in for an engine, so that nothing but the preparation counts. Prints a line a case:
 * the longest stall, and the time of the whole request.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

const SIDE = 2048;

/** @param {boolean} isMask */
async function picture(isMask) {
  const { encodePng } = await import('../../dist/image/codec.js');
  const data = new Uint8Array(SIDE * SIDE * 3);
  for (let i = 0; i < data.length; i += 1) {
    const [x, y] = [Math.floor(i / 3) % SIDE, Math.floor(i / 3 / SIDE)];
    if (isMask) data[i] = x > 600 && x < 1400 && y > 500 && y < 1300 ? 255 : 0;
    else data[i] = (x * 3 + y * 2 + (i % 3) * 60) % 256;
  }
  return (await encodePng(data, SIDE, SIDE)).toString('base64');
}

/** The client is a thread of its own: what it does is no stall of the server. */
async function client() {
  const { url, body } = workerData;
  const answer = await fetch(`${url}/sdapi/v1/img2img`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  });
  parentPort?.postMessage({ status: answer.status, bytes: (await answer.arrayBuffer()).byteLength });
}

async function main() {
  const { FakeModelProvider } = await import('../../dist/runtime/fake-provider.js');
  const { OptionStore } = await import('../../dist/context/options.js');
  const { FAKE_MODELS } = await import('../../dist/server/fake-models.js');
  const { startServer } = await import('../../dist/server/serve.js');
  const folder = await mkdtemp(join(tmpdir(), 'sdgen-stall-'));
  const limits = { bodyBytes: 64e6, pixels: SIDE * SIDE, steps: 150, images: 16, queue: 8 };
  const commandOptions = {
    model: 'x',
    modelsDirs: [],
    cwd: folder,
    device: 'auto',
    precision: 'auto',
    threads: 1,
    overrides: {},
  };
  const access = { credentials: [], allowedHosts: [], allowUrlImages: false, flags: {}, fakeInference: true };
  const settings = { commandOptions, limits, outputFolder: folder, ...access };
  const parts = { settings, provider: new FakeModelProvider(), options: new OptionStore(), models: FAKE_MODELS };
  const server = await startServer(parts, '127.0.0.1', 0);
  const [image, mask] = [await picture(false), await picture(true)];
  const usual = {
    prompt: 'x',
    steps: 2,
    seed: 1,
    width: SIDE,
    height: SIDE,
    init_images: [image],
    mask,
    inpaint_full_res: false,
  };
  const cases = {
    'whole picture, fill': { inpainting_fill: 0 },
    'only masked, fill': { inpainting_fill: 0, inpaint_full_res: true, inpaint_full_res_padding: 32 },
    'colour correction': { inpainting_fill: 1, override_settings: { img2img_color_correction: true } },
    'resized, no mask': { mask: null, width: 1536, height: 1536, resize_mode: 1 },
  };
  for (const [name, body] of [['(first request)', {}], ...Object.entries(cases)]) {
    const delay = monitorEventLoopDelay({ resolution: 1 });
    const worker = new Worker(new URL(import.meta.url), {
      workerData: { url: server.url, body: JSON.stringify({ ...usual, .../** @type {object} */ (body) }) },
    });
    delay.enable();
    const begin = performance.now();
    const { status } = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
    const seconds = (performance.now() - begin) / 1000;
    delay.disable();
    console.log(
      `${name}: status ${status}, longest stall ${(delay.max / 1e6).toFixed(0)} ms of ${seconds.toFixed(2)} s`,
    );
    await worker.terminate();
  }
  await server.close(0);
  await rm(folder, { recursive: true, force: true });
}

await (isMainThread ? main() : client());
