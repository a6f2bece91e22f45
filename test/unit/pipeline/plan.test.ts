import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deepFreeze, derive, OptionStore } from '../../../src/context/options.js';
import { RunState } from '../../../src/context/run-state.js';
import { createContext } from '../../../src/context/runtime-context.js';
import { Model } from '../../../src/native/model.js';
import type { ModelDescription } from '../../../src/native/types.js';
import { canonicalJson, type GenerationPlan, hashPlan, imageCount, parsePlan } from '../../../src/pipeline/plan.js';
import { runSeeds } from '../../../src/pipeline/seeds.js';
import { planTextToImage } from '../../../src/pipeline/text-to-image.js';
import { ClipTokenizer } from '../../../src/prompt/tokenizer.js';
import { parseTextToImage, type TextToImageInput } from '../../../src/request/txt2img.js';
import { createFakeEngine } from '../../support/fake-native.js';

const tokenizer = ClipTokenizer.load();

async function makePlan(
  input: Partial<TextToImageInput> = {},
  described: Partial<ModelDescription> = {},
  options = {},
) {
  const engine = createFakeEngine({ description: described });
  const file = new URL(import.meta.url).pathname;
  const open = { path: file, device: 'reference', precision: 'fp32', threads: 0 } as const;
  const model = await Model.open(engine.addon, open);
  const description = model.describe();
  const context = createContext({
    model: {
      name: 'm',
      path: file,
      sha256: 'a'.repeat(64),
      description,
      engine: model,
      loaded: false,
      load: async () => undefined,
    },
    options: derive(new OptionStore().snapshot(), options),
    device: { name: 'reference', precision: 'fp32', description: '', isa: '' },
    state: new RunState('id'),
    commandOptions: {
      model: 'm',
      modelsDirs: [],
      cwd: '/',
      device: 'auto',
      precision: 'auto',
      threads: 3,
      overrides: {},
    },
  });
  const request = parseTextToImage({ prompt: 'a fox', seed: 5, ...input });
  return planTextToImage(request, context, runSeeds(request), tokenizer);
}

describe('planTextToImage', () => {
  it('resolves a request into data that JSON carries unchanged', async () => {
    const plan = await makePlan({ prompt: 'a (fox:1.3)', width: 72, height: 56, count: 2, batchSize: 2 });
    expect(parsePlan(JSON.parse(JSON.stringify(plan)))).toEqual(plan);
    expect(plan).toMatchObject({
      latentWidth: 9,
      latentHeight: 7,
      batches: [
        [5, 6],
        [7, 8],
      ],
      noiseSource: 'philox',
      sampler: { id: 'dpmpp_2m', name: 'DPM++ 2M', scheduler: 'karras', schedulerLabel: 'Karras', eta: 1 },
      device: { name: 'reference', precision: 'fp32' },
      tiling: 'none',
    });
    const chunk = plan.prompt.parts[0]?.texts[0]?.chunks[0];
    expect(chunk?.tokens.slice(0, 4)).toEqual([49406, 320, 3240, 49407]);
    expect(chunk?.weights.slice(0, 4)).toEqual([1, 1, Math.fround(1.3), 1]);
    expect(plan.sigmas).toHaveLength(21);
    expect(imageCount(plan)).toBe(4);
  });

  it('leaves the negative prompt out where it is never evaluated', async () => {
    const plan = await makePlan({ cfgScale: 1, negativePrompt: 'blur' });
    expect(plan.negativePrompt).toEqual({ text: 'blur', part: null });
    // The weight counts with it.
    const half = await makePlan({ prompt: 'a fox:0.5', cfgScale: 2 });
    expect([half.negativePrompt.part, half.prompt.parts[0]?.weight]).toEqual([null, 0.5]);
    for (const prompt of ['a fox:0.5', 'a fox AND a cat']) {
      expect((await makePlan({ prompt, cfgScale: 1 })).negativePrompt.part).not.toBeNull();
    }
  });

  it('reads the options', async () => {
    const prompt = `${'a '.repeat(70)}, ${'b '.repeat(10)}`;
    const near = await makePlan({ prompt });
    const off = await makePlan({ prompt, sampler: 'Euler a' }, {}, { commaPaddingBacktrack: 0, eta: 0.5 });
    expect(near.prompt.parts).not.toEqual(off.prompt.parts);
    expect(off.sampler.eta).toBe(0.5);
  });

  it('counts the steps of prompt schedules as the sampler evaluates', async () => {
    const stages = async (input: Partial<TextToImageInput>, options = {}) =>
      (await makePlan({ steps: 8, prompt: '[a:b:0.5]', ...input }, {}, options)).prompt.parts[0]?.stages;
    expect(await stages({ sampler: 'Euler' })).toEqual([
      { until: 4, text: 0 },
      { until: 8, text: 1 },
    ]);
    expect(await stages({ sampler: 'Heun' })).toEqual([
      { until: 8, text: 0 },
      { until: 16, text: 1 },
    ]);
    expect(await stages({ sampler: 'Heun', prompt: '[a:b:3]' })).toMatchObject([{ until: 3 }, { until: 16 }]);
  });

  it('says whether old schedules make a difference', async () => {
    const old = { oldPromptSchedules: true };
    const difference = async (prompt: string, options: object) =>
      (await makePlan({ prompt }, {}, options)).oldPromptSchedules;
    expect(await difference('[a:b:1.5]', old)).toBe(true);
    expect(await difference('[a:b:0.5]', old)).toBe(false);
    expect(await difference('[a:b:1.5]', {})).toBe(false);
  });

  it('gives a sampler the settings that it reads, the request before the options', async () => {
    const settings = { sChurn: 5, sTmin: 0.1, sTmax: 3, sNoise: 1.05, eta: 0.5 };
    const plan = (sampler: string, input = {}) => makePlan({ sampler, ...input }, {}, { ...settings, etaDdim: 0.25 });
    const defaults = { sChurn: 0, sTmin: 0, sTmax: Number.MAX_VALUE, sNoise: 1, eta: 1 };
    expect((await plan('Euler')).sampler).toMatchObject({ ...settings, eta: 1 });
    expect((await plan('Euler', { sTmax: 0 })).sampler.sTmax).toBe(Number.MAX_VALUE);
    expect((await plan('LMS')).sampler).toMatchObject(defaults);
    expect((await plan('Euler a')).sampler).toMatchObject({ ...defaults, eta: 0.5 });
    expect((await plan('Euler a', { eta: 0.7 })).sampler.eta).toBe(0.7);
    expect((await plan('DPM2 a')).sampler).toMatchObject({ ...defaults, eta: 0.5, sNoise: 1.05 });
    expect((await plan('DDIM')).sampler.eta).toBe(0.25);
    expect((await plan('PLMS')).sampler.eta).toBe(0);
    expect((await plan('UniPC')).sampler).toMatchObject({ unipcVariant: 'bh1', unipcOrder: 3 });
  });

  it('carries timesteps, variation, resize and the seed delta', async () => {
    const plan = await makePlan(
      {
        sampler: 'DDIM',
        steps: 4,
        batchSize: 2,
        subseed: 8,
        subseedStrength: 0.5,
        seedResizeFromW: 256,
        seedResizeFromH: 320,
      },
      {},
      { etaNoiseSeedDelta: 31337 },
    );
    expect(plan).toMatchObject({
      timesteps: [751, 501, 251, 1],
      variation: { strength: 0.5, batches: [[8, 9]] },
      resizeFrom: { width: 256, height: 320 },
      seedDelta: 31337,
      batches: [[5, 5]],
      steps: 4,
    });
    expect(parsePlan(JSON.parse(JSON.stringify(plan)))).toEqual(plan);
    await expect(makePlan({ seedResizeFromW: 256 })).rejects.toThrow('a seed resize needs a width and a height');
    await expect(makePlan({}, {}, { etaNoiseSeedDelta: -6 })).rejects.toThrow(
      'the seed plus its delta (ENSD) must be 0 to',
    );
  });

  it("takes sigmas of one's own, and counts their steps", async () => {
    const plan = await makePlan({ sigmas: [9, 2.2, 0] });
    expect(plan).toMatchObject({ sigmas: [9, Math.fround(2.2), 0], steps: 2 });
    expect(plan.sampler).toMatchObject({ scheduler: 'own', schedulerLabel: null });
  });

  it('keeps the negative prompt of a sampler that always needs it, and pictures apart where they depend', async () => {
    expect((await makePlan({ cfgScale: 1, sampler: 'DDIM CFG++' })).negativePrompt.part).not.toBeNull();
    const plan = await makePlan({ sampler: 'DPM adaptive', batchSize: 2, count: 2, subseedStrength: 0.1, subseed: 3 });
    expect(plan.batches).toEqual([[5], [5], [5], [5]]);
    expect(plan.variation?.batches).toEqual([[3], [4], [5], [6]]);
  });

  it('refuses what the model cannot do', async () => {
    const text = {
      width: 2,
      layers: 4,
      heads: { value: 4, origin: 'default' },
      vocabulary: 49408,
      positions: 77,
      hasClipSkip: true,
      tokenizer: 'clip',
    } as const;
    await expect(makePlan({ clipSkip: 5 }, { text })).rejects.toThrow(
      'clipSkip must be a whole number from 1 to 4 for this model',
    );
    expect((await makePlan({ clipSkip: 5 }, { text: { ...text, hasClipSkip: false } })).clipSkip).toBe(1);
    await expect(makePlan({}, { text: { ...text, vocabulary: 100 } })).rejects.toThrow(
      /knows 100 tokens; CLIP's 49408 are needed/,
    );
    await expect(makePlan({ width: 72 }, { latentScale: 16 })).rejects.toThrow(
      'multiples of 16 for this model; 72x512 is not',
    );
  });
});

describe('hashPlan', () => {
  it('depends on every value and on nothing else', async () => {
    const plan = await makePlan();
    const shuffled = Object.fromEntries(Object.entries(plan).reverse()) as unknown as GenerationPlan;
    expect(hashPlan(shuffled)).toBe(hashPlan(plan));
    expect(hashPlan(await makePlan())).toBe(hashPlan(plan));
    const changed = await Promise.all(
      [{ prompt: 'a fix' }, { seed: 6 }, { steps: 21 }, { cfgScale: 7.5 }, { width: 520 }, { rng: 'cpu' as const }].map(
        (change) => makePlan(change),
      ),
    );
    expect(new Set([plan, ...changed].map(hashPlan)).size).toBe(7);
  });

  it('is over JSON with sorted keys', () => {
    expect(canonicalJson({ b: [1, { d: null, c: 'x' }], a: undefined, A: true })).toBe(
      '{"A":true,"b":[1,{"c":"x","d":null}]}',
    );
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });
});

describe('parsePlan', () => {
  it.each([
    ['nothing', () => null, 'the plan is not valid'],
    ['another format', (plan: object) => ({ ...plan, format: 'x' }), "the plan's format"],
    ['a further field', (plan: object) => ({ ...plan, more: 1 }), 'the plan is not valid'],
    [
      'a double sigma',
      (plan: object) => ({ ...plan, sigmas: [0.1, 0] }),
      "the plan's sigmas.0 is not valid: not a float32 value",
    ],
    ['a negative seed', (plan: object) => ({ ...plan, batches: [[-1]] }), "the plan's batches.0.0"],
    [
      'a stage without its text',
      (plan: GenerationPlan) => {
        const parts = plan.prompt.parts.map((part) => ({ ...part, stages: [{ until: 1, text: 1 }] }));
        return { ...plan, prompt: { ...plan.prompt, parts } };
      },
      "the plan's prompt.parts.0 is not valid: a stage names a text that is not there",
    ],
    ['an empty batch', (plan: object) => ({ ...plan, batches: [[]] }), "the plan's batches.0"],
  ])('refuses %s', async (_, change, message) => {
    const plan = deepFreeze(await makePlan());
    expect(() => parsePlan(change(plan))).toThrow(
      expect.objectContaining({ code: 'E_PLAN', message: expect.stringContaining(message) }),
    );
  });
});

describe('runSeeds', () => {
  it('counts up over all batches', () => {
    expect(runSeeds({ seed: 5, subseed: 9, count: 2, batchSize: 3 })).toEqual({
      batches: [
        [5, 6, 7],
        [8, 9, 10],
      ],
      variations: undefined,
    });
    const largest = Number.MAX_SAFE_INTEGER;
    expect(runSeeds({ seed: largest, count: 1, batchSize: 1 }).batches).toEqual([[largest]]);
    expect(() => runSeeds({ seed: largest, count: 1, batchSize: 2 })).toThrow(/^seed must leave room for 2/);
  });

  it('counts the variation up instead where there is one', () => {
    const request = { seed: 5, subseed: 9, subseedStrength: 0.2, count: 2, batchSize: 2 };
    expect(runSeeds(request)).toEqual({
      batches: [
        [5, 5],
        [5, 5],
      ],
      variations: [
        [9, 10],
        [11, 12],
      ],
    });
    const largest = Number.MAX_SAFE_INTEGER;
    expect(runSeeds({ ...request, seed: largest }).batches[1]).toEqual([largest, largest]);
    expect(() => runSeeds({ ...request, subseed: largest })).toThrow(/^subseed must leave room for 4/);
  });

  it('draws the first in [0, 4294967294) for -1', () => {
    const bounds: number[] = [];
    const random = (limit: number): number => limit - bounds.push(limit);
    expect(runSeeds({ seed: -1, count: 1, batchSize: 2 }, random).batches).toEqual([[4294967293, 4294967294]]);
    const varied = runSeeds({ seed: -1, subseed: -1, subseedStrength: 1, count: 1, batchSize: 1 }, random);
    expect(varied).toEqual({ batches: [[4294967292]], variations: [[4294967291]] });
    expect(bounds).toEqual([4294967294, 4294967294, 4294967294]);
    const [[drawn = -1] = []] = runSeeds({ seed: -1, count: 1, batchSize: 1 }).batches;
    expect(drawn).toBeGreaterThanOrEqual(0);
  });
});
