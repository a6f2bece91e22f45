import { createHash } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { beforeAll, describe, expect, it } from 'vitest';
import { CachedModelProvider, type GenerateEvent, type GenerateSettings, generate } from '../../src/index.js';
import { tinyModelPath } from '../support/tiny-model.js';

const REQUEST = { prompt: 'a lighthouse', width: 64, height: 64, steps: 3, seed: 3 };

let model: string;
beforeAll(async () => {
  model = await tinyModelPath();
});

async function picture(settings: Partial<GenerateSettings>, request: object = {}) {
  const events: GenerateEvent[] = [];
  for await (const event of generate({ ...REQUEST, ...request }, { model, threads: 1, ...settings })) {
    events.push(event);
  }
  const image = events.find((event) => event.type === 'image')?.image;
  if (image === undefined) throw new Error('no picture');
  return { events, sha256: image.pixelSha256 };
}

/** The same call in a thread of its own, over the built package. */
function pictureInThread(): Promise<string> {
  const script = `
    const { parentPort, workerData } = require('node:worker_threads');
    import(workerData.index).then(async ({ generate }) => {
      for await (const event of generate(workerData.request, workerData.settings)) {
        if (event.type === 'image') parentPort.postMessage(event.image.pixels);
      }
    });`;
  const index = new URL('../../dist/index.js', import.meta.url).href;
  const workerData = { index, request: REQUEST, settings: { model, threads: 1 } };
  return new Promise((resolve, reject) => {
    const worker = new Worker(script, { eval: true, workerData });
    worker.once('message', (pixels: Uint8Array) => resolve(createHash('sha256').update(pixels).digest('hex')));
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`the thread ended with ${code} before its picture`)));
  });
}

describe('the library over the real engine', () => {
  it('gives the same picture in worker threads, at once with a run of its own', async () => {
    const { sha256 } = await picture({});
    const together = await Promise.all([pictureInThread(), pictureInThread(), picture({})]);
    expect([together[0], together[1], together[2].sha256]).toEqual([sha256, sha256, sha256]);
  });

  it('runs two models in one process, each as it runs alone', async () => {
    // The same file told otherwise is another model.
    const variants: Partial<GenerateSettings>[] = [{}, { predictionType: 'v_prediction' }];
    const alone = [];
    for (const variant of variants) alone.push((await picture(variant)).sha256);
    expect(alone[0]).not.toBe(alone[1]);
    const provider = new CachedModelProvider();
    try {
      const together = await Promise.all(variants.map((variant) => picture({ ...variant, provider })));
      expect(together.map(({ sha256 }) => sha256)).toEqual(alone);
    } finally {
      await provider.dispose();
    }
  });

  it('shows previews that become the picture, and makes the same picture without', async () => {
    const settings = { previewEvery: 1 };
    const { events, sha256 } = await picture(settings, { steps: 5, batchSize: 2 });
    const previews = events.flatMap((event) => (event.type === 'step' && event.previews ? [event.previews] : []));
    expect(previews.at(-1)?.map(({ width, height, data }) => [width, height, data.length])).toEqual([
      [8, 8, 192],
      [8, 8, 192],
    ]);
    expect((await picture({}, { steps: 5, batchSize: 2 })).sha256).toBe(sha256);
  });

  it('ends a long run soon after an abort', async () => {
    const controller = new AbortController();
    const run = async () => {
      const settings = { model, threads: 1, signal: controller.signal };
      for await (const event of generate({ ...REQUEST, steps: 1000 }, settings)) {
        if (event.type === 'step') controller.abort();
      }
    };
    await expect(run()).rejects.toMatchObject({ code: 'E_CANCELLED' });
  });
});
