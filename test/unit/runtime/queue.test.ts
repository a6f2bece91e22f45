import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EarlyEnd } from '../../../src/context/early-end.js';
import { OptionStore } from '../../../src/context/options.js';
import type { CommandOptions } from '../../../src/context/runtime-context.js';
import { CachedModelProvider } from '../../../src/runtime/model-provider.js';
import { ProcessingRunner, type RunSettings } from '../../../src/runtime/processing-runner.js';
import { ExecutionQueue } from '../../../src/runtime/queue.js';
import { createFakeEngine } from '../../support/fake-native.js';

const never = new AbortController().signal;

describe('ExecutionQueue', () => {
  it('lets one compute at a time, first come, first served, and refuses beyond its limit', async () => {
    const queue = new ExecutionQueue({ limit: 3 });
    const order: string[] = [];
    const jobs = ['a', 'b', 'c'].map(async (id) => {
      const place = queue.enter(id);
      await place.turn(never);
      order.push(`${id}+`);
      await nextTurn();
      order.push(`${id}-`);
      place.leave();
      place.leave();
    });
    expect(queue.size).toBe(3);
    expect(queue.places.map(({ state }) => state)).toEqual(['running', 'waiting', 'waiting']);
    expect(() => queue.enter('d')).toThrow(expect.objectContaining({ code: 'E_QUEUE_FULL' }));
    await Promise.all(jobs);
    expect(order).toEqual(['a+', 'a-', 'b+', 'b-', 'c+', 'c-']);
    expect(queue.size).toBe(0);
  });

  it('refuses a second job of an id, and lets two compute where it may', async () => {
    const queue = new ExecutionQueue({ limit: 9, concurrency: 2 });
    const [a, b, c] = ['a', 'b', 'c'].map((id) => queue.enter(id));
    expect(() => queue.enter('a')).toThrow(expect.objectContaining({ code: 'E_EXISTS' }));
    for (const place of [a, b, c]) void place?.turn(never);
    expect(queue.waiting.map(({ id }) => id)).toEqual(['c']);
    b?.leave();
    expect(c?.state).toBe('running');
  });

  it('cancels one by its id, whether it waits or computes, and no other', async () => {
    const queue = new ExecutionQueue({ limit: 9 });
    const [a, b, c] = [queue.enter('a'), queue.enter('b'), queue.enter('c')];
    await a.turn(never);
    const waits = b.turn(never).catch((reason: unknown) => reason);
    const last = c.turn(never);
    expect(queue.cancel('b', 'enough')).toBe(true);
    expect(await waits).toBe('enough');
    b.leave();
    expect(queue.cancel('a', 'stop')).toBe(true);
    expect([a.signal.reason, c.signal.aborted]).toEqual(['stop', false]);
    a.leave();
    await last;
    expect(queue.cancel('b')).toBe(false);
  });
});

describe('a run in a queue', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sdgen-queue-'));
    await writeFile(join(folder, 'one.safetensors'), 'one');
    await writeFile(join(folder, 'two.safetensors'), 'two');
    await writeFile(join(folder, 'three.safetensors'), 'three');
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const request = { prompt: 'a fox', width: 16, height: 16, steps: 6, seed: 5 };
  const command = (model: string): CommandOptions => ({
    model,
    modelsDirs: [folder],
    cwd: folder,
    device: 'auto',
    precision: 'auto',
    threads: 0,
    overrides: {},
  });

  function setUp(keepModels?: number, available: () => number = () => 1e9) {
    const engine = createFakeEngine();
    const provider = new CachedModelProvider({ addon: async () => engine.addon, keepModels });
    const parts = { provider, options: new OptionStore(), availableMemory: async () => available() };
    const runner = new ProcessingRunner(parts);
    const run = (model: string, settings: Partial<RunSettings> = {}) =>
      runner.run(request, { commandOptions: command(model), ...settings });
    return { engine, provider, run };
  }

  it('computes when its turn comes, checks before, and leaves however it ends', async () => {
    const { run, engine } = setUp();
    const queue = new ExecutionQueue({ limit: 9 });
    const first = queue.enter('first');
    await first.turn(never);
    const place = queue.enter('second');
    const runs = run('one', { place, id: 'second' });
    while (place.state !== 'waiting') await nextTurn();
    expect(engine.samples).toHaveLength(0);
    first.leave();
    expect((await runs).runId).toBe('second');
    await expect(run('nothing', { place: queue.enter('third') })).rejects.toMatchObject({ code: 'E_MODEL_NOT_FOUND' });
    const cancelled = queue.enter('fourth');
    queue.cancel('fourth');
    await expect(run('one', { place: cancelled })).rejects.toMatchObject({ code: 'E_CANCELLED' });
    expect(queue.size).toBe(0);
  });

  it('ends early with what there is: a batch by skip, all by interrupt', async () => {
    const { run } = setUp();
    const whole = await run('one');
    const early = new EarlyEnd();
    const skipped = await run('one', {
      earlyEnd: early,
      onEvent: ({ type, state }) => type === 'step' && state.step === 2 && early.skip(),
    });
    expect(skipped.images).toHaveLength(1);
    expect(skipped.images[0]?.pixelSha256).not.toBe(whole.images[0]?.pixelSha256);
    const unused = await run('one', { earlyEnd: new EarlyEnd() });
    expect(unused.images[0]?.pixelSha256).toBe(whole.images[0]?.pixelSha256);
    const before = new EarlyEnd();
    before.interrupt();
    expect((await run('one', { earlyEnd: before })).images).toEqual([]);
  });

  it('keeps no more models than wanted, none in use is closed', async () => {
    const { run, engine, provider } = setUp(2);
    for (const model of ['one', 'two', 'one', 'three']) await run(model);
    expect([engine.loads, engine.closes]).toEqual([3, 1]);
    await run('one');
    expect(engine.loads).toBe(3);
    await run('two');
    expect([engine.loads, engine.closes]).toEqual([4, 2]);
    await provider.unload();
    expect(engine.closes).toBe(4);
    expect((await run('two')).images).toHaveLength(1);
  });

  it('closes unused models when memory is short', async () => {
    const { run, engine } = setUp(undefined, () => (engine.closes === 0 && engine.loads > 0 ? 0 : 1e9));
    await run('one');
    await run('two');
    expect([engine.loads, engine.closes]).toEqual([2, 1]);
  });

  it('unloads a model in use when its run is over', async () => {
    const { run, engine, provider } = setUp();
    await run('one', { onEvent: ({ type, state }) => type === 'step' && state.step === 1 && void provider.unload() });
    expect(engine.closes).toBe(1);
  });
});
