import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createProgress, formatDuration, formatRate } from '../../../src/cli/progress.js';
import { RunState } from '../../../src/context/run-state.js';
import { toNumber } from '../../../src/request/number-text.js';

describe('progress without a terminal', () => {
  it('writes a line every ten seconds and one at the end of a batch', () => {
    const stderr = new PassThrough();
    let clock = 0;
    const io = { stdout: new PassThrough(), stderr, env: {}, cwd: '/', signals: new EventEmitter() };
    const progress = createProgress(io, () => clock);
    const state = new RunState('x');
    state.plan(2, 2, 20);
    for (const batch of [1, 2]) {
      state.beginBatch(batch);
      for (let step = 1; step <= 20; step += 1) {
        clock += 2000;
        state.completeStep(step, 1, step);
        progress.onEvent({ type: 'step', previews: undefined, state: state.view() });
      }
    }
    progress.stop();
    const lines = String(stderr.read()).trimEnd().split('\n');
    expect(lines.slice(0, 4)).toEqual([
      'batch 1/2 step 5/20, 2.00 s/it, ETA 1:10',
      'batch 1/2 step 10/20, 2.00 s/it, ETA 1:00',
      'batch 1/2 step 15/20, 2.00 s/it, ETA 0:50',
      'batch 1/2 step 20/20, 2.00 s/it, ETA 0:40',
    ]);
    expect(lines).toHaveLength(8);
  });
});

describe('figures', () => {
  it('are short', () => {
    expect(formatRate(10, 4)).toBe('2.50 it/s');
    expect(formatRate(1, 4)).toBe('4.00 s/it');
    expect(formatRate(0, 4)).toBe('- it/s');
    expect(formatDuration(7.4)).toBe('0:07');
    expect(formatDuration(7500)).toBe('2:05:00');
  });

  it.each([
    ['20', 20],
    ['-1', -1],
    ['.5', 0.5],
    ['1e3', 1000],
    ['nan', 'nan'],
    ['0x10', '0x10'],
    ['', ''],
    [' 1', ' 1'],
    ['1e999', '1e999'],
    ['9007199254740993', '9007199254740993'],
  ])('%j is read as %j', (text, value) => {
    expect(toNumber(text)).toBe(value);
  });
});
