import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { upscaleTo } from '../../../src/image/upscalers.js';
import { PictureThread } from '../../../src/pipeline/picture-thread.js';
import { prepareStart, type StartSettings } from '../../../src/pipeline/start-pictures.js';
import { parseUpscale } from '../../../src/request/upscale.js';
import { boxMask, pngOf, scene } from '../../support/pictures.js';

const ENTRY = new URL('../../../dist/pipeline/picture-worker.js', import.meta.url);
const SETTINGS: StartSettings = {
  resizeMode: 'crop',
  background: '#ffffff',
  colorCorrection: false,
  mask: { invert: false, round: true, blurX: 3, blurY: 5, content: 'fill', area: 'masked', padding: 4 },
  size: { width: 64, height: 64 },
  latentScale: 8,
};
const enlarge = (side: number) => ({
  image: scene(32, 32),
  width: side,
  height: side,
  upscaler: 'Lanczos' as const,
  kept: { width: side, height: side },
});

/** Ends with the tests, and when nothing was done for a moment. */
const begun: PictureThread[] = [];
function thread(entry = ENTRY): PictureThread {
  const made = new PictureThread(entry, 50);
  begun.push(made);
  return made;
}
afterEach(async () => {
  while (begun.some(({ isRunning }) => isRunning)) await delay(20);
});

describe('PictureThread', () => {
  it('gives what the work gives without it', async () => {
    const inputs = {
      pictures: [{ ...scene(90, 70), channels: 3 as const }],
      mask: { ...boxMask(90, 70, [20, 10, 60, 50]), channels: 3 as const },
      notes: [],
    };
    const here = prepareStart(inputs, SETTINGS);
    const there = await thread().run('prepare', { inputs, settings: SETTINGS });
    expect(there).toEqual(here);
    expect(inputs.pictures[0]?.data.length).toBe(90 * 70 * 3); // what is given is still there
    const { pixels } = await thread().run('read', await pngOf(scene(20, 10)));
    expect(pixels).toEqual(scene(20, 10));
  });

  it('does one task after the other', async () => {
    const worker = thread();
    const done: number[] = [];
    await Promise.all(
      [300, 40, 50].map(async (side, i) => {
        const made = await worker.run('enlarge', enlarge(side));
        done.push(i);
        expect(made).toEqual(upscaleTo(scene(32, 32), side, side, 'Lanczos'));
      }),
    );
    expect(done).toEqual([0, 1, 2]);
  });

  it('tells errors as the work itself does', async () => {
    const worker = thread();
    await expect(worker.run('read', Buffer.from('no picture'))).rejects.toMatchObject({
      name: 'FailureError',
      code: 'E_IMAGE_FORMAT',
    });
    const bytes = await pngOf(scene(8, 8));
    const request = { ...parseUpscale({ scale: 2 }), upscaler: 'Nothing' };
    await expect(worker.run('upscale', { bytes, request })).rejects.toMatchObject({
      name: 'UsageError',
      field: 'upscaler',
    });
    await expect(worker.run('enlarge', enlarge(64))).resolves.toMatchObject({ width: 64 });
  });

  it('lets go of a task at once when it is aborted, and goes on with the others', async () => {
    const worker = thread();
    const [first, second] = [new AbortController(), new AbortController()];
    const long = worker.run('enlarge', enlarge(1500), first.signal);
    const waiting = worker.run('enlarge', enlarge(1500), second.signal);
    const last = worker.run('enlarge', enlarge(40));
    second.abort(new Error('not wanted'));
    await expect(waiting).rejects.toThrow('not wanted');
    first.abort(new Error('nor this'));
    await expect(long).rejects.toThrow('nor this');
    expect((await last).width).toBe(40);
    await expect(worker.run('enlarge', enlarge(40), AbortSignal.abort(new Error('too late')))).rejects.toThrow(
      'too late',
    );
  });

  it('ends when there is nothing to do, and begins again', async () => {
    const worker = thread();
    await worker.run('enlarge', enlarge(40));
    expect(worker.isRunning).toBe(true);
    while (worker.isRunning) await delay(10);
    expect((await worker.run('enlarge', enlarge(40))).width).toBe(40);
  });

  it('fails what waits where the thread cannot run, every time', async () => {
    const worker = thread(pathToFileURL('/nowhere/worker.js'));
    for (let i = 0; i < 2; i += 1) {
      const both = [worker.run('enlarge', enlarge(40)), worker.run('enlarge', enlarge(50))];
      for (const one of both) await expect(one).rejects.toThrow(/worker\.js/);
      expect(worker.isRunning).toBe(false);
    }
  });
});
