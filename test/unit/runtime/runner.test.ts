import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { OptionStore } from '../../../src/context/options.js';
import type { CommandOptions } from '../../../src/context/runtime-context.js';
import { FailureError, UsageError } from '../../../src/request/errors.js';
import { FileSink } from '../../../src/runtime/file-sink.js';
import type { GenerationResult } from '../../../src/runtime/finalize.js';
import { CachedModelProvider } from '../../../src/runtime/model-provider.js';
import type { PictureSink } from '../../../src/runtime/picture-sink.js';
import { STAGES } from '../../../src/runtime/prepare.js';
import { ProcessingRunner, type RunEvent, type RunSettings } from '../../../src/runtime/processing-runner.js';
import { createFakeEngine, type FakeBehaviour } from '../../support/fake-native.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sdgen-runner-'));
  await writeFile(join(folder, 'one.safetensors'), 'one');
  await writeFile(join(folder, 'two.safetensors'), 'two');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function command(model = 'one'): CommandOptions {
  return {
    model,
    modelsDirs: [folder],
    cwd: folder,
    device: 'auto',
    precision: 'auto',
    threads: 0,
    overrides: {},
  };
}

function setUp(behaviour: FakeBehaviour = {}, options = new OptionStore()) {
  const engine = createFakeEngine(behaviour);
  const provider = new CachedModelProvider({ addon: async () => engine.addon });
  const runner = new ProcessingRunner({ provider, options, availableMemory: async () => 1e9, random: () => 1234 });
  return { engine, provider, runner, options };
}

const REQUEST = { prompt: 'a fox', width: 16, height: 16, steps: 3, seed: 5 };
const hashes = (result: GenerationResult) =>
  result.images.map(({ pixelSha256, latentSha256 }) => [pixelSha256, latentSha256]);

/** Runs and collects what it told. */
async function follow(runner: ProcessingRunner, input: unknown, settings: Partial<RunSettings> = {}) {
  const events: RunEvent[] = [];
  const promise = runner.run(input, {
    commandOptions: command(),
    ...settings,
    onEvent: (event) => {
      events.push(event);
      settings.onEvent?.(event);
    },
  });
  const [outcome] = await Promise.allSettled([promise]);
  const stages = events.flatMap((event) => (event.type === 'stage' ? [event.stage] : []));
  return { outcome, events, stages, ending: events.at(-1)?.state };
}

describe('a run', () => {
  it('goes through its stages in order and ends as done', async () => {
    const { runner } = setUp();
    const { stages, ending, events, outcome } = await follow(runner, REQUEST);
    expect(outcome.status).toBe('fulfilled');
    expect(stages).toEqual(STAGES);
    expect(ending).toMatchObject({ outcome: 'done', phase: 'ended', step: 3, imagesDone: 1 });
    expect(events.filter(({ type }) => type === 'step').map(({ state }) => state.step)).toEqual([1, 2, 3]);
    expect(events.filter(({ type }) => type === 'load').length).toBeGreaterThan(0);
  });

  it('gives pictures without a sink, and random seeds where none is given', async () => {
    const { runner } = setUp();
    const result = await runner.run({ ...REQUEST, seed: -1, batchSize: 2 }, { commandOptions: command() });
    expect(result.images.map(({ seed, path, pixels }) => [seed, path, pixels.length])).toEqual([
      [1234, undefined, 768],
      [1235, undefined, 768],
    ]);
    expect(Object.isFrozen(result.prepared.context)).toBe(true);
    expect(result.prepared.context.device).toMatchObject({ name: 'reference', precision: 'fp32' });
  });

  it('computes in the fastest precision unless the model or the caller asks for fp32, and says so', async () => {
    const devices = ['reference', 'cpu'].map((name) => ({
      name: name as 'reference' | 'cpu',
      description: name,
      precisions: name === 'cpu' ? (['fp32', 'bf16'] as const) : (['fp32'] as const),
      isa: 'x',
      missing: '',
    }));
    const chosen = async (metadata: Record<string, string>, precision = 'auto') => {
      const { runner, engine } = setUp({ capabilities: { devices }, metadata });
      const { prepared, images } = await runner.run(REQUEST, { commandOptions: { ...command(), precision } });
      expect(prepared.plan.device).toEqual({ name: 'cpu', precision: prepared.context.device.precision });
      expect(engine.opened.at(-1)).toMatchObject(
        prepared.plan.device.precision === 'fp32' ? { precision: 'fp32' } : {},
      );
      expect(images[0]?.infotext).toContain(`Device: cpu, Precision: ${prepared.plan.device.precision}`);
      return prepared.plan.device.precision;
    };
    expect(await chosen({})).toBe('bf16');
    expect(await chosen({ 'sdgen.precision': 'fp32' })).toBe('fp32');
    expect(await chosen({ 'sdgen.precision': 'fp32' }, 'bf16')).toBe('bf16');
    expect(await chosen({}, 'fp32')).toBe('fp32');
    await expect(chosen({ 'sdgen.precision': 'int4' })).rejects.toThrow('wrong sdgen.precision: int4; it may be fp32');
  });

  it('encodes each prompt once, and the negative one not at all at cfg scale 1', async () => {
    const { runner, engine } = setUp();
    await runner.run({ ...REQUEST, count: 3 }, { commandOptions: command() });
    expect(engine.encodes.map(({ groups }) => groups.length)).toEqual([2]);
    expect(engine.samples).toHaveLength(3);
    await runner.run({ ...REQUEST, cfgScale: 1, negativePrompt: 'x' }, { commandOptions: command() });
    expect(engine.encodes[1]?.groups).toHaveLength(1);
    expect(engine.samples[3]).toMatchObject({ conditionings: { length: 1 } });
    expect(engine.samples[3]?.uncond).toBeUndefined();
  });

  it('gives the engine every distinct text once and what holds when', async () => {
    const { runner, engine } = setUp();
    const prompt = 'a [cat|dog] AND a fox:0.5 AND a fox:2';
    const request = { ...REQUEST, prompt, negativePrompt: '[x:y:0.5]', steps: 4, sampler: 'Euler' };
    await runner.run(request, { commandOptions: command() });
    expect(engine.encodes.map(({ groups }) => groups.map((texts) => texts.map(({ count }) => count)))).toEqual([
      [[2, 2], [1], [1, 1]],
    ]);
    const [sample] = engine.samples;
    expect(sample?.conditionings).toHaveLength(5);
    expect(sample?.parts).toEqual([
      { weight: 1, stages: [1, 2, 3, 4].map((until) => ({ until, conditioning: (until + 1) % 2 })) },
      { weight: 0.5, stages: [{ until: 4, conditioning: 2 }] },
      { weight: 2, stages: [{ until: 4, conditioning: 2 }] },
    ]);
    expect(sample?.uncond).toEqual([
      { until: 2, conditioning: 3 },
      { until: 4, conditioning: 4 },
    ]);
  });

  it('makes image i of a batch equal to its seed alone', async () => {
    const { runner } = setUp();
    const run = (more: object) => runner.run({ ...REQUEST, ...more }, { commandOptions: command() });
    const batch = hashes(await run({ batchSize: 3 }));
    const counted = hashes(await run({ count: 3 }));
    expect(counted).toEqual(batch);
    expect(hashes(await run({ seed: 7 }))).toEqual([batch[2]]);
  });
});

describe('interleaved runs with different options', () => {
  it('give what each gives alone', async () => {
    const variants = [
      { input: { ...REQUEST, sampler: 'DPM++ 2S a' }, override: { eta: 0.5 }, model: 'one' },
      {
        input: { ...REQUEST, sampler: 'Euler a', cfgScale: 3, count: 2 },
        override: { eta: 0.9, sNoise: 0.5 },
        model: 'one',
      },
      { input: { ...REQUEST, clipSkip: 2, rng: 'cpu', negativePrompt: 'blur' }, override: undefined, model: 'two' },
    ];
    const run = (runner: ProcessingRunner, { input, override, model }: (typeof variants)[number]) =>
      runner.run(input, { commandOptions: command(model), overrideOptions: override });
    const alone = [];
    for (const variant of variants) alone.push(await run(setUp().runner, variant));
    const { runner, engine } = setUp();
    const together = await Promise.all([...variants, ...variants].map((variant) => run(runner, variant)));
    expect(together.map(hashes)).toEqual([...alone, ...alone].map(hashes));
    expect(together.map(({ images }) => images[0]?.infotext)).toEqual(
      [...alone, ...alone].map(({ images }) => images[0]?.infotext),
    );
    expect(new Set(together.map((result) => hashes(result)[0]?.[0])).size).toBe(3);
    expect(engine.loads).toBe(2);
    expect(alone[0]?.images[0]?.infotext).toContain('Eta: 0.5');
  });

  it('read a snapshot: options set during a run change later runs only', async () => {
    const { runner, options } = setUp();
    const input = { ...REQUEST, sampler: 'Euler a' };
    const before = await runner.run(input, { commandOptions: command() });
    const during = await runner.run(input, {
      commandOptions: command(),
      onEvent: (event) => {
        if (event.type === 'stage' && event.stage === 'execute') options.set({ eta: 0.1 });
      },
    });
    const after = await runner.run(input, { commandOptions: command() });
    expect(hashes(during)).toEqual(hashes(before));
    expect(hashes(after)).not.toEqual(hashes(before));
  });

  it('leaves the options alone when an override fails', async () => {
    const { runner, options } = setUp();
    const snapshot = options.snapshot();
    const run = runner.run(REQUEST, { commandOptions: command(), overrideOptions: { eta: 9 } });
    await expect(run).rejects.toThrow('eta must be a number from 0 to 1; 9 is not');
    expect(options.snapshot()).toBe(snapshot);
  });
});

describe('a run that does not succeed', () => {
  it.each([
    ['validate', { input: { prompt: 5 } }, {}, 'failed'],
    ['model', { input: REQUEST, model: 'none' }, {}, 'failed'],
    ['execute', { input: REQUEST }, { fail: { at: 'load', code: 'E_OUT_OF_MEMORY' } }, 'failed'],
    ['execute', { input: REQUEST }, { fail: { at: 'encode', code: 'E_NON_FINITE' } }, 'failed'],
    ['execute', { input: REQUEST }, { fail: { at: 'sample', code: 'E_NON_FINITE' } }, 'failed'],
    ['execute', { input: REQUEST }, { fail: { at: 'decode', code: 'E_INTERNAL' } }, 'failed'],
  ] as const)('is finalized after %s', async (stage, { input, ...rest }, behaviour, ending) => {
    const { runner } = setUp(behaviour);
    const model = 'model' in rest ? rest.model : 'one';
    const run = await follow(runner, input, { commandOptions: command(model) });
    expect(run.outcome.status).toBe('rejected');
    expect(run.stages.at(-2)).toBe(stage);
    expect(run.stages.at(-1)).toBe('finalize');
    expect(run.ending).toMatchObject({ outcome: ending, phase: 'ended' });
    if ('fail' in behaviour && run.outcome.status === 'rejected') {
      expect(run.outcome.reason).toBeInstanceOf(FailureError);
      expect(run.outcome.reason.code).toBe(behaviour.fail.code);
    }
  });

  it('fails where the sink fails, and says so', async () => {
    const { runner, engine } = setUp();
    const sink: PictureSink = {
      check: async () => undefined,
      save: async () => {
        throw new FailureError('E_IO', 'the disk is full');
      },
    };
    const run = await follow(runner, REQUEST, { sink });
    expect(run.ending?.outcome).toBe('failed');
    expect(engine.samples).toHaveLength(1);
    const closed = { ...sink, check: () => Promise.reject(new UsageError('no')) };
    await follow(runner, REQUEST, { sink: closed });
    expect(engine.samples).toHaveLength(1);
  });

  it('refuses what does not fit before the load, counting weights that are there', async () => {
    const { engine, provider } = setUp({ peakBytes: 1000 + 3000 });
    const small = (bytes: number) =>
      new ProcessingRunner({ provider, options: new OptionStore(), availableMemory: async () => bytes });
    const run = (bytes: number) => small(bytes).run(REQUEST, { commandOptions: command() });
    const texts = 2 * 2 * 77 * 2 * 4; // two texts' features, here and in the engine
    const more = 768 + texts;
    await expect(run(4000 + more - 1)).rejects.toThrow(/needs 7\.2 kB of memory and 7\.2 kB is available/);
    expect(engine.loads).toBe(0);
    await run(4000 + more);
    await run(1000 + more);
    await expect(run(1000 + more - 1)).rejects.toMatchObject({ code: 'E_OUT_OF_MEMORY' });
  });

  it("counts a card's memory where it computes on one", async () => {
    const devices = [{ name: 'cuda' as const, description: '', precisions: ['fp32' as const], isa: '', missing: '' }];
    const deviceMemory = [{ name: 'cuda' as const, freeBytes: 5000, totalBytes: 9000 }];
    const { engine, provider } = setUp({ peakBytes: 6000, capabilities: { devices }, deviceMemory });
    const runner = new ProcessingRunner({ provider, options: new OptionStore(), availableMemory: async () => 1e9 });
    const run = () => runner.run(REQUEST, { commandOptions: { ...command(), device: 'auto' } });
    await expect(run()).rejects.toThrow(/needs 8\.\d kB of memory on cuda and 5\.0 kB is available/);
    expect(engine.loads).toBe(0);
    deviceMemory[0] = { name: 'cuda', freeBytes: 9000, totalBytes: 9000 };
    await run();
    expect(engine.loads).toBe(1);
  });

  it('passes defects on as they are', async () => {
    const { provider } = setUp();
    const runner = new ProcessingRunner({
      provider,
      options: new OptionStore(),
      tokenizer: () => {
        throw new RangeError('a defect');
      },
    });
    const run = await follow(runner, REQUEST);
    expect(run.outcome.status === 'rejected' && run.outcome.reason).toBeInstanceOf(RangeError);
  });
});

describe('an interrupted run', () => {
  it('stops within a step, is finalized as cancelled, and leaves others alone', async () => {
    const { runner, engine } = setUp();
    const controller = new AbortController();
    const other = runner.run({ ...REQUEST, seed: 9, steps: 10 }, { commandOptions: command() });
    const run = await follow(
      runner,
      { ...REQUEST, steps: 10 },
      {
        signal: controller.signal,
        onEvent: ({ type, state }) => {
          if (type === 'step' && state.step === 4) controller.abort();
        },
      },
    );
    expect(run.outcome.status === 'rejected' && run.outcome.reason.code).toBe('E_CANCELLED');
    expect(run.stages.at(-1)).toBe('finalize');
    expect(run.ending).toMatchObject({ outcome: 'cancelled', step: 4 });
    const reference = await setUp().runner.run({ ...REQUEST, seed: 9, steps: 10 }, { commandOptions: command() });
    expect(hashes(await other)).toEqual(hashes(reference));
    expect(engine.loads).toBe(1);
  });

  it('does nothing when it is interrupted before it begins', async () => {
    const { runner, engine } = setUp();
    const run = await follow(runner, REQUEST, { signal: AbortSignal.abort() });
    expect(run.ending?.outcome).toBe('cancelled');
    expect(engine.opened).toHaveLength(0);
    await expect(
      runner.prepare(REQUEST, { commandOptions: command(), signal: AbortSignal.abort() }),
    ).rejects.toMatchObject({ code: 'E_CANCELLED' });
  });

  it('removes what it had saved when it is interrupted while saving', async () => {
    const { runner } = setUp();
    const controller = new AbortController();
    const files = new FileSink({ kind: 'folder', path: 'out' }, { cwd: folder, force: false });
    let saved = 0;
    const sink: PictureSink = {
      check: (run) => files.check(run),
      save: (pictures, grid, signal) => {
        const slow = pictures.map((picture) => ({
          ...picture,
          get data() {
            saved += 1;
            if (saved === 2) controller.abort();
            return picture.data;
          },
        }));
        return files.save(slow, grid, signal);
      },
    };
    const run = await follow(runner, { ...REQUEST, count: 4 }, { sink, signal: controller.signal });
    expect(run.ending?.outcome).toBe('cancelled');
    expect(saved).toBe(2);
    expect(await readdir(join(folder, 'out'))).toEqual([]);
  });
});
