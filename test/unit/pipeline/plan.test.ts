import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deepFreeze, derive, OptionStore } from '../../../src/context/options.js';
import { RunState } from '../../../src/context/run-state.js';
import { createContext } from '../../../src/context/runtime-context.js';
import { Model } from '../../../src/native/model.js';
import type { ModelDescription } from '../../../src/native/types.js';
import { canonicalJson, type GenerationPlan, hashPlan, imageCount, parsePlan } from '../../../src/pipeline/plan.js';
import { batchSeeds } from '../../../src/pipeline/seeds.js';
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
  return planTextToImage(request, context, batchSeeds(request), tokenizer);
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
    const off = await makePlan({ prompt }, {}, { commaPaddingBacktrack: 0, eta: 0.5 });
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

  it('refuses what the model cannot do', async () => {
    const text = {
      width: 2,
      layers: 4,
      heads: { value: 4, origin: 'default' },
      vocabulary: 49408,
      positions: 77,
    } as const;
    await expect(makePlan({ clipSkip: 5 }, { text })).rejects.toThrow(
      'clipSkip must be a whole number from 1 to 4 for this model',
    );
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

describe('batchSeeds', () => {
  it('counts up over all batches', () => {
    expect(batchSeeds({ seed: 5, count: 2, batchSize: 3 })).toEqual([
      [5, 6, 7],
      [8, 9, 10],
    ]);
    expect(batchSeeds({ seed: Number.MAX_SAFE_INTEGER, count: 1, batchSize: 1 })).toEqual([[Number.MAX_SAFE_INTEGER]]);
    expect(() => batchSeeds({ seed: Number.MAX_SAFE_INTEGER, count: 1, batchSize: 2 })).toThrow(
      /must leave room for 2/,
    );
  });

  it('draws the first in [0, 4294967294) for -1', () => {
    let bound = 0;
    const seeds = batchSeeds({ seed: -1, count: 1, batchSize: 2 }, (limit) => {
      bound = limit;
      return limit - 1;
    });
    expect([bound, seeds]).toEqual([4294967294, [[4294967293, 4294967294]]]);
    const [[drawn = -1] = []] = batchSeeds({ seed: -1, count: 1, batchSize: 1 });
    expect(drawn).toBeGreaterThanOrEqual(0);
  });
});
