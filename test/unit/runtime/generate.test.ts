import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readImageInfo } from '../../../src/image/codec.js';
import { encodeImage, type GenerateEvent, type GenerateSettings, generate } from '../../../src/runtime/generate.js';
import { CachedModelProvider } from '../../../src/runtime/model-provider.js';
import { createFakeEngine, type FakeBehaviour } from '../../support/fake-native.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sdgen-generate-'));
  for (const name of ['one', 'two']) await writeFile(join(folder, `${name}.safetensors`), name);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const REQUEST = { prompt: 'a fox', width: 16, height: 24, steps: 4, seed: 5, cfgScale: 5 };

function setUp(behaviour: FakeBehaviour = {}) {
  const engine = createFakeEngine(behaviour);
  const provider = new CachedModelProvider({ addon: async () => engine.addon });
  const settings = { provider, modelsDir: [folder], model: 'one' } satisfies GenerateSettings;
  return { engine, settings };
}

async function collect(events: AsyncIterable<GenerateEvent>): Promise<GenerateEvent[]> {
  const all: GenerateEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}
const ofType = <T extends GenerateEvent['type']>(events: GenerateEvent[], type: T) =>
  events.filter((event): event is Extract<GenerateEvent, { type: T }> => event.type === type);

describe('generate', () => {
  it('tells the plan, the steps with their sigmas, each picture and the end', async () => {
    const events = await collect(generate({ ...REQUEST, count: 2 }, setUp().settings));
    const kinds = events.map(({ type }) => type).filter((type, i, all) => type !== all[i - 1]);
    expect(kinds).toEqual(['prepared', 'load', 'step', 'image', 'step', 'image', 'done']);
    const [prepared] = ofType(events, 'prepared');
    expect(prepared?.plan.batches).toEqual([[5], [6]]);
    const steps = ofType(events, 'step');
    expect(steps.map(({ batch, step }) => [batch, step])).toEqual(
      [1, 2].flatMap((b) => [1, 2, 3, 4].map((s) => [b, s])),
    );
    expect(steps.slice(0, 4).map(({ sigma }) => sigma)).toEqual(prepared?.plan.sigmas.slice(0, 4));
    expect(steps.every(({ previews }) => previews === undefined)).toBe(true);
    const images = ofType(events, 'image').map(({ image }) => image);
    expect(images.map(({ seed, pixels }) => [seed, pixels.length])).toEqual([
      [5, 16 * 24 * 3],
      [6, 16 * 24 * 3],
    ]);
    expect(ofType(events, 'done')[0]?.result.images.map(({ infotext }) => infotext)).toEqual(
      images.map(({ infotext }) => infotext),
    );
  });

  it('shows previews at the steps that were asked for', async () => {
    const events = await collect(generate({ ...REQUEST, batchSize: 2 }, { ...setUp().settings, previewEvery: 2 }));
    const shown = ofType(events, 'step').filter(({ previews }) => previews !== undefined);
    expect(shown.map(({ step }) => step)).toEqual([2, 4]);
    expect(shown[0]?.previews?.map(({ width, height, data }) => [width, height, data.length])).toEqual([
      [2, 3, 18],
      [2, 3, 18],
    ]);
  });

  it('lets a slow reader miss steps, but neither the newest preview nor a picture', async () => {
    const events = generate({ ...REQUEST, steps: 30, count: 2 }, { ...setUp().settings, previewEvery: 1 });
    const seen: GenerateEvent[] = [];
    for await (const event of events) {
      seen.push(event);
      if (event.type === 'step' && event.step === 1) await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(ofType(seen, 'step').length).toBeLessThan(60);
    expect(ofType(seen, 'step').every(({ previews }) => previews?.length === 1)).toBe(true);
    expect(ofType(seen, 'image')).toHaveLength(2);
  });

  it('ends with E_CANCELLED when its signal aborts, and runs again', async () => {
    const { settings, engine } = setUp();
    const controller = new AbortController();
    const reason = new Error('enough');
    const steps: number[] = [];
    const run = async () => {
      for await (const event of generate({ ...REQUEST, steps: 20 }, { ...settings, signal: controller.signal })) {
        if (event.type !== 'step') continue;
        steps.push(event.step);
        if (event.step === 3) controller.abort(reason);
      }
    };
    await expect(run()).rejects.toMatchObject({ code: 'E_CANCELLED' });
    expect(steps.at(-1)).toBeLessThan(6);
    await expect(run()).rejects.toMatchObject({ code: 'E_CANCELLED', cause: reason });
    expect(ofType(await collect(generate(REQUEST, settings)), 'done')).toHaveLength(1);
    expect(engine.opened).toHaveLength(1);
  });

  it('stops when the reader leaves the loop', async () => {
    let last = 0;
    const { settings } = setUp({
      onStep: (step) => {
        last = step;
      },
    });
    for await (const event of generate({ ...REQUEST, steps: 500 }, settings)) if (event.type === 'step') break;
    expect(last).toBeLessThan(10);
  });

  it.each([
    ['a wrong request', { ...REQUEST, steps: 0 }, {}, 'steps must be a whole number from 1 to 1000; 0 is not'],
    ['a wrong setting', REQUEST, { threads: -1 }, 'threads must be a whole number from 1 to 1024; -1 is not'],
    ['an unknown setting', REQUEST, { treads: 1 }, 'treads is not a field here'],
    ['a wrong option', REQUEST, { options: { eta: 2 } }, 'eta must be a number from 0 to 1; 2 is not'],
    ['a wrong preview', REQUEST, { previewEvery: 0.5 }, 'previewEvery must be a whole number from 0 to 1000'],
  ])('refuses %s as a usage error', async (_case, request, wrong, message) => {
    const run = collect(generate(request, { ...setUp().settings, ...wrong }));
    await expect(run).rejects.toMatchObject({ name: 'UsageError', message: expect.stringContaining(message) });
  });

  it('gives what each call gives alone when two run at once on two models', async () => {
    const hashes = async (model: string, settings: GenerateSettings) => {
      const events = await collect(generate(REQUEST, { ...settings, model }));
      return ofType(events, 'image').map(({ image }) => image.pixelSha256);
    };
    const alone = [await hashes('one', setUp().settings), await hashes('two', setUp().settings)];
    const { settings, engine } = setUp();
    expect(await Promise.all(['one', 'two'].map((model) => hashes(model, settings)))).toEqual(alone);
    expect(engine.opened).toHaveLength(2);
  });
});

describe('encodeImage', () => {
  it('writes files that carry the parameters, and refuses what a format cannot hold', async () => {
    const [event] = ofType(await collect(generate(REQUEST, setUp().settings)), 'image');
    if (event === undefined) throw new Error('no picture');
    const { image } = event;
    for (const format of ['png', 'webp'] as const) {
      const info = await readImageInfo(await encodeImage(image, { format }));
      expect(info).toMatchObject({ format, width: 16, height: 24 });
      expect(info.texts).toEqual([{ keyword: 'parameters', text: image.infotext }]);
    }
    const long = { ...image, infotext: 'x'.repeat(40_000) };
    await expect(encodeImage(long, { format: 'jpeg' })).rejects.toMatchObject({ name: 'UsageError' });
  });
});
