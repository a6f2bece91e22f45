import { describe, expect, it } from 'vitest';
import { deepFreeze, derive, OptionStore } from '../../../src/context/options.js';
import { RunState } from '../../../src/context/run-state.js';
import { VERSION } from '../../../src/context/version.js';
import { UsageError } from '../../../src/request/errors.js';

describe('OptionStore', () => {
  it('gives frozen snapshots that later changes do not reach', () => {
    const store = new OptionStore({ eta: 0.5 });
    const before = store.snapshot();
    store.set({ eta: 0.25, sChurn: 3 });
    expect(before.eta).toBe(0.5);
    expect(store.snapshot()).toMatchObject({ eta: 0.25, sChurn: 3, commaPaddingBacktrack: 20 });
    expect(() => Object.assign(before, { eta: 1 })).toThrow(TypeError);
  });

  it('derives without changing anything, also when it fails', () => {
    const store = new OptionStore();
    const snapshot = store.snapshot();
    expect(derive(snapshot, { eta: 0 }).eta).toBe(0);
    expect(derive(snapshot, undefined)).toBe(snapshot);
    for (const wrong of [{ eta: 2 }, { etta: 1 }, 'eta', [1], null]) {
      expect(() => derive(snapshot, wrong)).toThrow(UsageError);
      expect(() => store.set(wrong)).toThrow(UsageError);
    }
    expect(store.snapshot()).toBe(snapshot);
    expect(snapshot.eta).toBe(1);
  });

  it('is JSON', () => {
    const snapshot = new OptionStore().snapshot();
    expect(JSON.parse(JSON.stringify(snapshot))).toEqual(snapshot);
  });
});

describe('deepFreeze', () => {
  it('reaches everything inside', () => {
    const value = deepFreeze({ a: { b: [{ c: 1 }] } });
    expect(Object.isFrozen(value.a.b[0])).toBe(true);
  });
});

describe('RunState', () => {
  it('tells where a run stands, in views that do not change', () => {
    const state = new RunState('id');
    const first = state.view();
    state.plan(4, 2, 20);
    state.enter('execute');
    state.beginBatch(1);
    state.completeStep(3, 1.5, 6);
    state.completeImages(2);
    expect(first).toMatchObject({ phase: 'prepare', step: 0, images: 0 });
    expect(state.view()).toMatchObject({
      phase: 'execute',
      batch: 1,
      step: 3,
      sigma: 1.5,
      evaluations: 6,
      imagesDone: 2,
    });
    state.beginBatch(2);
    expect(state.view()).toMatchObject({ step: 0, evaluations: 0, imagesDone: 2 });
  });

  it('keeps the first ending', () => {
    const state = new RunState('id');
    state.decide('failed');
    state.decide('done');
    state.close();
    expect(state.view()).toMatchObject({ outcome: 'failed', phase: 'ended' });
  });

  it('is interrupted by its signal until it is closed, and by itself', () => {
    const outer = new AbortController();
    const [a, b, c] = [new RunState('a', outer.signal), new RunState('b', outer.signal), new RunState('c')];
    b.close();
    outer.abort('why');
    expect([a.signal.aborted, b.signal.aborted, a.signal.reason]).toEqual([true, false, 'why']);
    expect(new RunState('d', outer.signal).signal.reason).toBe('why');
    c.interrupt();
    expect(c.signal.aborted).toBe(true);
  });
});

it('VERSION is a version', () => {
  expect(VERSION).toMatch(/^\d+\.\d+\.\d+/);
});
