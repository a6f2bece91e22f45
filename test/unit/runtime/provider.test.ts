import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NativeError } from '../../../src/native/errors.js';
import { FailureError } from '../../../src/request/errors.js';
import { asFailure } from '../../../src/runtime/failures.js';
import { CachedModelProvider, type ModelRequest } from '../../../src/runtime/model-provider.js';
import { SharedTask } from '../../../src/runtime/shared-task.js';
import { createFakeEngine, type FakeBehaviour } from '../../support/fake-native.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sdgen-provider-'));
  await writeFile(join(folder, 'one.safetensors'), 'same');
  await writeFile(join(folder, 'copy.safetensors'), 'same');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function setUp(behaviour: FakeBehaviour = {}) {
  const engine = createFakeEngine(behaviour);
  return { engine, provider: new CachedModelProvider({ addon: async () => engine.addon }) };
}

const ask = (model: string, more: Partial<ModelRequest> = {}): ModelRequest => ({
  model,
  modelsDirs: [folder],
  cwd: folder,
  threads: 0,
  overrides: {},
  device: { name: 'reference', precision: 'fp32', description: '', isa: '' },
  ...more,
});

describe('CachedModelProvider', () => {
  it('opens and loads once for concurrent requests, and for equal files under other names', async () => {
    const { engine, provider } = setUp();
    const [a, b, c] = await Promise.all([ask('one'), ask('one'), ask('copy')].map((one) => provider.getModel(one)));
    expect([a?.name, b?.name, c?.name]).toEqual(['one', 'one', 'copy']);
    expect([a?.path, c?.path]).toEqual([join(folder, 'one.safetensors'), join(folder, 'copy.safetensors')]);
    expect(c?.engine).toBe(a?.engine);
    const shares: number[] = [];
    await Promise.all([a, b, c].map((model) => model?.load(undefined, (share) => shares.push(share))));
    expect(engine.loads).toBe(1);
    expect(shares).toContain(0.5);
    expect([a, b, c].map((model) => model?.loaded)).toEqual([true, true, true]);
    await a?.load();
    expect(engine.loads).toBe(1);
    expect(engine.opened).toHaveLength(2);
    expect(engine.closes).toBe(1);
  });

  it('opens again what is asked for differently, and what has changed', async () => {
    const { engine, provider } = setUp();
    const first = await provider.getModel(ask('one'));
    expect((await provider.getModel(ask('one', { threads: 2 }))).engine).not.toBe(first.engine);
    const flagged = await provider.getModel(ask('one', { overrides: { predictionType: 'v_prediction' } }));
    expect(flagged.description.predictionType).toEqual({ value: 'v_prediction', origin: 'flag' });
    await writeFile(join(folder, 'one.safetensors'), 'something else');
    expect((await provider.getModel(ask('one'))).sha256).not.toBe(first.sha256);
    expect(engine.opened).toHaveLength(4);
  });

  it('loads for the others when one who waits gives up', async () => {
    const { engine, provider } = setUp();
    const model = await provider.getModel(ask('one'));
    const controller = new AbortController();
    const quitter = model.load(controller.signal);
    const patient = model.load();
    controller.abort(new Error('enough'));
    await expect(quitter).rejects.toThrow('enough');
    await patient;
    expect([engine.loads, model.loaded]).toEqual([1, true]);
  });

  it('cancels a load that nobody waits for, and loads again later', async () => {
    const { engine, provider } = setUp();
    const model = await provider.getModel(ask('one'));
    const controller = new AbortController();
    const quitter = model.load(controller.signal);
    controller.abort(new Error('enough'));
    await expect(quitter).rejects.toThrow('enough');
    expect(model.loaded).toBe(false);
    await model.load();
    expect(model.loaded).toBe(true);
    expect(engine.loads).toBeLessThanOrEqual(2);
  });

  it('fails each time with the cause, and may succeed later', async () => {
    const { engine, provider } = setUp({ fail: { at: 'load', code: 'E_IO' } });
    const model = await provider.getModel(ask('one'));
    const both = await Promise.allSettled([model.load(), model.load()]);
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await expect(model.load()).rejects.toThrow('load failed on purpose');
    expect(engine.loads).toBe(2);
    const closed = setUp({ fail: { at: 'open', code: 'E_MODEL_FORMAT' } });
    for (let i = 0; i < 2; i += 1) {
      await expect(closed.provider.getModel(ask('one'))).rejects.toBeInstanceOf(FailureError);
    }
    expect(closed.engine.opened).toHaveLength(2);
  });

  it('closes everything and then refuses', async () => {
    const { engine, provider } = setUp();
    await provider.getModel(ask('one'));
    await provider.dispose();
    await provider.dispose();
    expect(engine.closes).toBe(1);
    await expect(provider.getModel(ask('one'))).rejects.toMatchObject({ code: 'E_CLOSED' });
  });

  it('closes a model that is opened while it is disposed of', async () => {
    const { engine, provider } = setUp();
    const opening = provider.getModel(ask('one'));
    await provider.dispose();
    await expect(opening).rejects.toMatchObject({ code: 'E_CLOSED' });
    expect(engine.closes).toBe(engine.opened.length);
  });

  it('says why there is no engine', async () => {
    const provider = new CachedModelProvider({
      addon: () => Promise.reject(new NativeError('E_IO', 'no addon: run npm run build')),
    });
    await expect(provider.capabilities()).rejects.toBeInstanceOf(FailureError);
    await expect(provider.getModel(ask('one'))).rejects.toThrow('no addon: run npm run build');
  });
});

describe('SharedTask', () => {
  it('ends its work when the last one leaves, with that reason', async () => {
    let seen: unknown;
    const task = new SharedTask<void>(
      (signal) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => {
            seen = signal.reason;
            reject(signal.reason);
          });
        }),
    );
    const [a, b] = [new AbortController(), new AbortController()];
    const joins = [task.join(a.signal), task.join(b.signal)];
    a.abort('first');
    await expect(joins[0]).rejects.toBe('first');
    expect([seen, task.abandoned]).toEqual([undefined, false]);
    b.abort('second');
    await expect(joins[1]).rejects.toBe('second');
    expect([seen, task.abandoned]).toEqual(['second', true]);
    await expect(task.join(AbortSignal.abort('late'))).rejects.toBe('late');
  });
});

describe('asFailure', () => {
  it('turns engine errors and aborts into failures, and leaves the rest', () => {
    const defect = new TypeError('x');
    expect(asFailure(defect)).toBe(defect);
    expect(asFailure('x')).toBe('x');
    const native = new NativeError('E_NON_FINITE', 'the VAE gave NaN');
    expect(asFailure(native)).toMatchObject({
      code: 'E_NON_FINITE',
      message: 'the VAE gave NaN',
      exitCode: 1,
      cause: native,
    });
    const signal = AbortSignal.abort(new Error('why'));
    expect(asFailure(signal.reason, signal)).toMatchObject({ code: 'E_CANCELLED' });
    expect(asFailure(native, signal)).toMatchObject({ code: 'E_NON_FINITE' });
  });
});
