import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EarlyEnd } from '../../../src/context/early-end.js';
import { OptionStore } from '../../../src/context/options.js';
import { passesOf } from '../../../src/pipeline/plan.js';
import { CachedModelProvider } from '../../../src/runtime/model-provider.js';
import { ProcessingRunner, type RunEvent, type RunSettings } from '../../../src/runtime/processing-runner.js';
import { workOf } from '../../../src/runtime/work.js';
import { createFakeEngine, type FakeBehaviour } from '../../support/fake-native.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sdgen-hires-'));
  await writeFile(join(folder, 'one.safetensors'), 'one');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const REQUEST = { prompt: 'a fox', width: 64, height: 32, steps: 4, seed: 5, hires: true };

function setUp(behaviour: FakeBehaviour = {}) {
  const engine = createFakeEngine(behaviour);
  const provider = new CachedModelProvider({ addon: async () => engine.addon });
  const runner = new ProcessingRunner({ provider, options: new OptionStore(), availableMemory: async () => 1e9 });
  const facts = { cwd: folder, device: 'auto', precision: 'auto', threads: 0, overrides: {} } as const;
  const commandOptions = { ...facts, model: 'one', modelsDirs: [folder] };
  const run = (input: object, settings: Partial<RunSettings> = {}) =>
    runner.run({ ...REQUEST, ...input }, { commandOptions, ...settings });
  const prepare = (input: object) => runner.prepare({ ...REQUEST, ...input }, { commandOptions });
  return { engine, runner, run, prepare, commandOptions };
}

/** Karras et al. 2022, eq. 5, with the model's own ends, in float64. */
function karras(steps: number, high: number, low: number): number[] {
  const at = (i: number): number => (high ** (1 / 7) + (i / (steps - 1)) * (low ** (1 / 7) - high ** (1 / 7))) ** 7;
  return [...Array.from({ length: steps }, (_, i) => at(i)), 0];
}

describe('the steps of a second pass', () => {
  it.each([
    [20, 0.7],
    [20, 0.75],
    [4, 0.3],
    [1, 0.5],
    [7, 1],
    [33, 0.0701],
  ])('are exactly %i at strength %f: the end of a longer way', async (steps, strength) => {
    const { prepare } = setUp();
    const { plan } = await prepare({ hiresSteps: steps, hiresDenoisingStrength: strength });
    const total = Math.floor(steps / Math.min(strength, 0.999));
    const [high = 0, low = 0] = [plan.sigmas[0], plan.sigmas.at(-2)];
    const expected = karras(total, high, low).slice(total - steps);
    expect(plan.hires?.steps).toBe(steps);
    expect(plan.hires?.sigmas).toHaveLength(steps + 1);
    for (const [i, sigma] of expected.entries()) {
      expect(Math.abs((plan.hires?.sigmas[i] ?? Number.NaN) - sigma)).toBeLessThan(1e-5 * high);
    }
  });

  it("are the first pass's unless told, those of its own sigmas too", async () => {
    const { prepare } = setUp();
    expect((await prepare({})).plan.hires?.steps).toBe(4);
    const { hires } = (await prepare({ sigmas: [9, 3, 0] })).plan;
    expect(hires).toMatchObject({ steps: 2, sampler: { scheduler: 'karras' } });
  });
});

describe('a second pass', () => {
  it('begins with the first latents enlarged, noise of the same seeds at the new size, and its own settings', async () => {
    const { run, engine } = setUp();
    const { images } = await run({
      batchSize: 2,
      negativePrompt: 'dull',
      hiresScale: 1.5,
      hiresSteps: 3,
      hiresSampler: 'Euler a',
      hiresScheduler: 'uniform',
      hiresCfgScale: 3,
      subseed: 9,
      subseedStrength: 0.2,
    });
    expect(images.map(({ width, height, seed }) => [width, height, seed])).toEqual([
      [96, 48, 5],
      [96, 48, 5],
    ]);
    const [first, second] = engine.samples;
    expect(engine.samples).toHaveLength(2);
    expect(first).toMatchObject({ latentWidth: 8, latentHeight: 4, sampler: 'dpmpp_2m', cfgScale: 7 });
    expect(first?.start).toBeUndefined();
    expect(second).toMatchObject({ latentWidth: 12, latentHeight: 6, sampler: 'euler_ancestral', cfgScale: 3 });
    expect(second?.start?.latent).toMatchObject({ batch: 2, width: 12, height: 6 });
    expect(second?.start?.noiseMultiplier ?? 1).toBe(1);
    expect([second?.seeds, second?.variation]).toEqual([first?.seeds, first?.variation]);
    expect(second?.sigmas).toHaveLength(4);
  });

  it('counts its steps behind the first ones', async () => {
    const { run } = setUp();
    const steps: number[][] = [];
    const onEvent = (event: RunEvent): void => {
      if (event.type === 'step') steps.push([event.state.step, event.state.steps, event.state.evaluations]);
    };
    await run({ hiresSteps: 2 }, { onEvent });
    expect(steps).toEqual([1, 2, 3, 4, 5, 6].map((step) => [step, 6, step]));
  });

  it('has one trail a pass', async () => {
    const { run } = setUp();
    const { images } = await run({ hiresSteps: 2 });
    expect(images[0]?.trail?.map(({ steps }) => steps)).toEqual([
      [0, 1, 2, 3, 4],
      [0, 1, 2],
    ]);
  });

  it('takes the middle where both sides are asked for', async () => {
    const { run, engine } = setUp();
    const { images } = await run({ hiresResizeX: 128, hiresResizeY: 48 });
    expect([images[0]?.width, images[0]?.height]).toEqual([128, 48]);
    // 128x64 has 16x8 cells; of 8 rows those from 1 to 7.
    const { latent } = engine.samples[1]?.start ?? {};
    expect(latent).toMatchObject({ width: 16, height: 6 });
  });

  it('goes through pixels with an upscaler of pixels, and needs an encoder for it', async () => {
    const { run, prepare, engine } = setUp({
      description: { vae: { channels: 32, channelMultipliers: [1, 2], hasEncoder: true } },
    });
    const { images } = await run({ hiresUpscaler: 'nearest', hiresResizeX: 100 });
    expect([images[0]?.width, images[0]?.height]).toEqual([96, 48]);
    expect(engine.samples[1]?.start?.latent).toMatchObject({ width: 12, height: 6 });
    const without = setUp();
    await expect(without.run({ hiresUpscaler: 'Lanczos' })).rejects.toMatchObject({ code: 'E_MODEL_UNSUPPORTED' });
    const { plan, context } = await prepare({ hiresUpscaler: 'Lanczos' });
    const latent = await prepare({});
    expect(workOf(plan, context).vae).toBeGreaterThan(workOf(latent.plan, latent.context).vae);
  });

  it('has prompts of its own, with styles and schedules that address it', async () => {
    const { prepare } = setUp();
    const { plan } = await prepare({
      prompt: 'a [cat:dog:1.5]',
      hiresNegativePrompt: 'blur # no',
      steps: 8,
      hiresSteps: 6,
    });
    expect(plan.prompt.parts[0]?.texts.map(({ text }) => text)).toEqual(['a cat']);
    expect(plan.hires?.prompt.parts[0]?.stages.map(({ until }) => until)).toEqual([3, 6]);
    expect(plan.hires?.prompt.parts[0]?.texts.map(({ text }) => text)).toEqual(['a cat', 'a dog']);
    expect(plan.hires?.negativePrompt.text).toBe('blur ');
  });

  it('is none where it would have the first size', async () => {
    const { prepare } = setUp();
    expect((await prepare({ hiresScale: 1 })).plan.hires).toBeNull();
    expect((await prepare({ hires: false })).plan.hires).toBeNull();
  });

  it('is left out by who ends the run early', async () => {
    const earlyEnd = new EarlyEnd();
    const { run, engine } = setUp({ onStep: (step) => step === 2 && earlyEnd.interrupt() });
    const { images } = await run({}, { earlyEnd });
    expect(images.map(({ width, height }) => [width, height])).toEqual([[64, 32]]);
    expect(engine.samples).toHaveLength(1);
  });

  it('is part of the memory, the work and the finished size', async () => {
    const { prepare, run } = setUp();
    const [one, two] = [await prepare({ hires: false }), await prepare({})];
    expect(passesOf(two.plan)).toHaveLength(2);
    expect(two.memory.pictureBytes).toBe(4 * one.memory.pictureBytes);
    expect(two.memory.engineBytes).toBeGreaterThan(one.memory.engineBytes);
    expect(workOf(two.plan, two.context).evaluations.count).toBe(8);
    const { prepared, images } = await run({ count: 2, grid: true });
    expect(prepared.sheet).toEqual({ width: 256, height: 64 });
    expect(images[0]?.infotext).toContain('Denoising strength: 0.7, Hires upscale: 2.0, Hires upscaler: Latent');
  });

  it.each([
    [{ hiresUpscaler: 'Latnt' }, 'unknown upscaler "Latnt"; did you mean Latent', 'hiresUpscaler'],
    [{ hiresSampler: 'Eule' }, 'unknown sampler "Eule"', 'hiresSampler'],
    [{ hiresScheduler: 'carras' }, 'unknown scheduler "carras"', 'hiresScheduler'],
    [{ hiresDenoisingStrength: 0 }, 'hiresDenoisingStrength must be a number from 0.01 to 1', 'hiresDenoisingStrength'],
    [{ hiresScale: 300 }, 'hiresScale must be', 'hiresScale'],
    [{ hiresResizeX: 16000, hiresResizeY: 20 }, undefined, undefined],
    [{ height: 1024, hiresResizeX: 16000 }, '16000x256000 pixels', 'hiresResizeX'],
    [{ hiresSteps: 900, hiresDenoisingStrength: 0.5 }, 'in the second pass: exactly 900 steps', 'hiresSteps'],
    [{ hiresSampler: 'DDIM', hiresSteps: 1 }, 'finds nothing to do', 'hiresDenoisingStrength'],
  ])('%j', async (input, message, field) => {
    const { prepare } = setUp();
    const outcome = prepare(input);
    if (message === undefined) await expect(outcome).resolves.toBeDefined();
    else await expect(outcome).rejects.toMatchObject({ message: expect.stringContaining(message), field });
  });
});
