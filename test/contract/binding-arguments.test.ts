import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadAddon } from '../../src/native/load.js';
import type { NativeAddon, NativeModel } from '../../src/native/types.js';
import { encodeRequest, openOptions, openTinyModel, sampleRequest } from '../support/native-model.js';

type Loose = Record<string, unknown>;

let addon: NativeAddon;
let model: NativeModel;

beforeAll(async () => {
  addon = await loadAddon();
  model = await openTinyModel();
});
afterAll(() => model?.close());

/** A deep copy of `base` with the value at `path`, e.g. "seeds[0]", replaced. */
function having<T extends object>(base: T, path: string, value: unknown): T {
  const copy: T = structuredClone(base);
  const keys = path.split(/[.[\]]+/).filter((key) => key !== '');
  const last = keys.pop();
  let place = copy as Loose;
  for (const key of keys) place = place[key] as Loose;
  if (last === undefined || !(last in place)) throw new Error(`no field ${path} to replace`);
  place[last] = value;
  return copy;
}

/** What `call` throws or rejects with must have the code and begin with the field's name. */
async function expectRefusal(call: () => unknown, field: string): Promise<void> {
  const error: unknown = await Promise.resolve()
    .then(call)
    .then(
      () => 'accepted',
      (thrown: unknown) => thrown,
    );
  expect(error).toBeInstanceOf(Error);
  expect(error).toMatchObject({ code: 'E_INVALID_ARGUMENT' });
  const message = error instanceof Error ? error.message : '';
  expect(message.startsWith(`${field} must be `), message).toBe(true);
  expect(message).toMatch(/, got ./);
}

const NOT_OBJECTS = [undefined, null, 1, 'text', Symbol('s')];
const FLOATS = (length: number) => new Float32Array(length);

const OPEN: [field: string, value: unknown][] = [
  ['path', 7],
  ['path', ''],
  ['path', 'a\0b'],
  ['device', 'gpu'],
  ['device', undefined],
  ['precision', 'fp8'],
  ['threads', -1],
  ['threads', 1.5],
  ['threads', '1'],
  ['threads', Number.NaN],
  ['overrides', null],
  ['overrides.predictionType', 'sample'],
  ['overrides.textHeads', 0],
  ['overrides.unetHeads', 2.5],
  ['overrides.scaleFactor', 0],
  ['overrides.scaleFactor', Number.POSITIVE_INFINITY],
];

const ESTIMATE: [field: string, value: unknown][] = [
  ['latentWidth', 0],
  ['latentHeight', 2 ** 40],
  ['batch', 0],
  ['condTokens', -77],
  ['uncondTokens', 1n],
  ['useUncond', 1],
];

const ENCODE: [field: string, value: unknown][] = [
  ['groups', 'text'],
  ['groups', []],
  ['groups[0]', []],
  ['groups[0]', 5],
  ['groups[0][0]', 5],
  ['groups[0][0].count', 0],
  ['groups[0][0].count', 1.5],
  ['groups[0][0].chunks', []],
  ['groups[0][0].chunks', Array(900)],
  ['groups[0][0].chunks[0].tokens', [1, 2, 3]],
  ['groups[0][0].chunks[0].tokens', new Float32Array(77)],
  ['groups[0][0].chunks[0].tokens', new Int32Array(76)],
  ['groups[0][0].chunks[0].weights', FLOATS(78)],
  ['groups[0][0].chunks[0].weights', null],
  ['restoreMean', 1],
  ['clipSkip', 0],
  ['clipSkip', 100],
  ['profile', 'yes'],
];

const SAMPLE: [field: string, value: unknown][] = [
  ['latentWidth', 0],
  ['latentHeight', 1.25],
  ['seeds', 1],
  ['seeds', []],
  ['seeds[0]', -1],
  ['seeds[0]', 2 ** 53],
  ['noiseSource', 'gpu'],
  ['sampler', 'no such sampler'],
  ['sampler', 3],
  ['samplerOptions', undefined],
  ['samplerOptions.eta', Number.NaN],
  ['samplerOptions.sChurn', -1],
  ['samplerOptions.sTmin', 'x'],
  ['samplerOptions.sTmax', Number.POSITIVE_INFINITY],
  ['samplerOptions.sNoise', undefined],
  ['sigmas', [14, 0]],
  ['sigmas', FLOATS(0)],
  ['sigmas', FLOATS(1)],
  ['sigmas', new Float64Array([14, 0])],
  ['sigmas', new Float32Array([14, -1])],
  ['timesteps', [1, 2]],
  ['startWithSignal', 1],
  ['wholeTimesteps', 'yes'],
  ['variation.seeds', 5],
  ['variation.seeds[0]', -1],
  ['variation.strength', -1],
  ['resizeFrom.width', 0],
  ['resizeFrom.height', 1.5],
  ['start.latent.width', 0],
  ['start.latent.channels', 3],
  ['start.latent.data', FLOATS(3)],
  ['start.noiseMultiplier', -1],
  ['start.extraNoise', 'some'],
  ['start.timestep', -1],
  ['start.mask', FLOATS(2)],
  ['start.fill', 'original'],
  ['noiseInterval.low', -1],
  ['noiseInterval.high', '5'],
  ['laterSeeds', []],
  ['laterSeeds[0]', 2 ** 53],
  ['samplerOptions.unipcVariant', 'bh3'],
  ['samplerOptions.unipcOrder', 4],
  ['cfgScale', Number.NaN],
  ['cfgScale', '7'],
  ['conditionings', null],
  ['conditionings', []],
  ['conditionings[0].data', FLOATS(5)],
  ['conditionings[0].tokens', 0],
  ['conditionings[0].width', 1],
  ['conditionings[1].data', new Uint8Array(5)],
  ['conditionings[1].tokens', Number.POSITIVE_INFINITY],
  ['conditionings[1].width', 2.5],
  ['parts', []],
  ['parts[0]', 1],
  ['parts[0].weight', Number.NaN],
  ['parts[0].stages', []],
  ['parts[0].stages[0].until', -1],
  ['parts[0].stages[0].conditioning', 2],
  ['uncond', undefined],
  ['uncond', []],
  ['uncond[0].until', 0.5],
  ['uncond[0].conditioning', -1],
  ['previewEvery', -1],
  ['previewEvery', 0.5],
  ['profile', 0],
  ['trail', 1],
];

const DECODE: [field: string, value: unknown][] = [
  ['latent', 1],
  ['latent.data', FLOATS(255)],
  ['latent.data', undefined],
  ['latent.batch', 0],
  ['latent.channels', 3],
  ['latent.height', -8],
  ['latent.width', 8.5],
  ['profile', null],
];

describe('a wrong argument is refused by its name', () => {
  it.each(OPEN)('openModel: %s (%#)', async (field, value) => {
    const complete = { predictionType: 'epsilon', textHeads: 4, unetHeads: 4, scaleFactor: 0.2 } as const;
    const options = { ...(await openOptions()), overrides: complete };
    await expectRefusal(() => addon.openModel(having(options, field, value)), field);
  });

  it.each(ESTIMATE)('estimate: %s (%#)', async (field, value) => {
    const request = { latentWidth: 8, latentHeight: 8, batch: 1, condTokens: 77, uncondTokens: 77, useUncond: true };
    await expectRefusal(() => model.estimate(having(request, field, value)), field);
  });

  it.each(ENCODE)('encodeText: %s (%#)', async (field, value) => {
    const request = { ...encodeRequest(model.describe()), profile: false };
    await expectRefusal(() => model.encodeText(having(request, field, value)).promise, field);
  });

  it.each(SAMPLE)('sample: %s (%#)', async (field, value) => {
    const base = sampleRequest(model.describe(), 2);
    const request = {
      ...base,
      samplerOptions: { ...base.samplerOptions, unipcVariant: 'bh1' as const, unipcOrder: 3 },
      timesteps: FLOATS(0),
      startWithSignal: false,
      wholeTimesteps: false,
      variation: { seeds: [...base.seeds], strength: 0 },
      resizeFrom: { width: 4, height: 4 },
      start: {
        latent: { data: FLOATS(256), batch: 1, channels: 4, height: 8, width: 8 },
        noiseMultiplier: 1,
        extraNoise: 0,
        timestep: 0,
        mask: FLOATS(64),
        fill: 'keep' as const,
      },
      noiseInterval: { low: 0.03, high: 15 },
      laterSeeds: [...base.seeds],
      previewEvery: 0,
      profile: false,
      trail: false,
    };
    await expectRefusal(() => model.sample(having(request, field, value)).promise, field);
  });

  it.each(DECODE)('decode: %s (%#)', async (field, value) => {
    const latent = { data: FLOATS(256), batch: 1, channels: 4, height: 8, width: 8 };
    await expectRefusal(() => model.decode(having({ latent, profile: false }, field, value)).promise, field);
  });

  it.each(NOT_OBJECTS)('a whole request (%#)', async (value) => {
    const wrong = value as never;
    await expectRefusal(() => addon.openModel(wrong), 'the argument');
    await expectRefusal(() => model.estimate(wrong), 'the argument');
    await expectRefusal(() => model.encodeText(wrong).promise, 'the argument');
    await expectRefusal(() => model.sample(wrong).promise, 'the argument');
    await expectRefusal(() => model.decode(wrong).promise, 'the argument');
  });

  it('the listeners', async () => {
    const latent = { data: FLOATS(256), batch: 1, channels: 4, height: 8, width: 8 };
    await expectRefusal(() => model.load(1 as never).promise, 'onProgress');
    await expectRefusal(() => model.sample(sampleRequest(model.describe(), 2), {} as never).promise, 'onStep');
    await expectRefusal(() => model.decode({ latent }, null as never).promise, 'onImage');
  });

  it('a list of four billion holes, before anything is allocated', async () => {
    const request = sampleRequest(model.describe(), 2);
    await expectRefusal(() => model.sample({ ...request, seeds: new Array(2 ** 32 - 1) }).promise, 'seeds');
  });

  it('single elements of typed arrays', async () => {
    const encode = encodeRequest(model.describe());
    for (const token of [-1, model.describe().text.vocabulary]) {
      const tokens = having(encode, 'groups[0][0].chunks[0].tokens[5]', token);
      await expectRefusal(() => model.encodeText(tokens).promise, 'groups[0][0].chunks[0].tokens[5]');
    }
    const weights = having(encode, 'groups[0][0].chunks[0].weights[76]', Number.POSITIVE_INFINITY);
    await expectRefusal(() => model.encodeText(weights).promise, 'groups[0][0].chunks[0].weights[76]');
    const sample = sampleRequest(model.describe(), 2);
    for (const field of ['conditionings[0].data[7]', 'conditionings[1].data[0]', 'sigmas[1]']) {
      await expectRefusal(() => model.sample(having(sample, field, Number.NaN)).promise, field);
    }
    const latent = { data: FLOATS(256).fill(Number.NEGATIVE_INFINITY), batch: 1, channels: 4, height: 8, width: 8 };
    await expectRefusal(() => model.decode({ latent }).promise, 'latent.data[0]');
  });
});

describe('hostile arguments', () => {
  it('whose getters throw give the error of the getter', async () => {
    const trap = {
      get path(): string {
        throw new RangeError('from the getter');
      },
    };
    await expect(addon.openModel(trap as never)).rejects.toThrow(new RangeError('from the getter'));
  });

  it('that shrink while they are read are refused', async () => {
    const request = sampleRequest(model.describe(), 2);
    const seeds: number[] = [1, 2, 3];
    Object.defineProperty(seeds, 0, {
      get() {
        seeds.length = 1;
        return 1;
      },
    });
    await expectRefusal(() => model.sample({ ...request, seeds }).promise, 'seeds[1]');
    const detached = new Float32Array([14, 0]);
    structuredClone(detached.buffer, { transfer: [detached.buffer] });
    await expectRefusal(() => model.sample({ ...request, sigmas: detached }).promise, 'sigmas');
  });

  it('such as a device that is not built, or a file that is no model, fail with their own codes', async () => {
    const options = await openOptions();
    await expect(addon.openModel({ ...options, path: `${options.path}.missing` })).rejects.toMatchObject({
      code: 'E_IO',
    });
    const notAModel = new URL('../../package.json', import.meta.url).pathname;
    await expect(addon.openModel({ ...options, path: notAModel })).rejects.toMatchObject({ code: 'E_MODEL_FORMAT' });
    const built = addon.capabilities().devices.map(({ name }) => name);
    for (const device of (['cpu', 'cuda'] as const).filter((name) => !built.includes(name))) {
      await expect(addon.openModel({ ...options, device })).rejects.toMatchObject({ code: 'E_DEVICE' });
    }
  });
});
