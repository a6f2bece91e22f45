import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type Abilities, chooseOrder, classQueue, refusal, STAY_MS } from '../../../src/fleet/classes.js';
import { parseQueueUrl, shownUrl } from '../../../src/fleet/connection.js';
import { decodeResult, encodeResult, type TaskResult } from '../../../src/fleet/result.js';
import { Tallies } from '../../../src/fleet/tallies.js';
import {
  decodeNews,
  decodeTask,
  encodeNews,
  failureText,
  type News,
  parseFailure,
  parseOrder,
  parseReceipt,
} from '../../../src/fleet/task.js';

const HASH = 'ab'.repeat(32);
const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');

describe('what a plan asks of a worker', () => {
  const model = { name: 'm', sha256: HASH };
  const work = { planFormat: 'f', numerics: 1, model, vae: null, device: 'any', precision: 'fp32', store: null };
  const able: Abilities = {
    ...{ planFormat: 'f', numerics: 1, models: [model], vaes: [], device: 'cpu', precisions: ['fp32', 'bf16'] },
    store: 'folder:x',
  };

  it.each([
    [{}, undefined],
    [{ device: 'cpu', precision: 'bf16' }, undefined],
    [{ store: 'folder:x' }, undefined],
    [{ planFormat: 'g' }, /format g/],
    [{ numerics: 2 }, /version 2/],
    [{ model: { name: 'other', sha256: 'cd'.repeat(32) } }, /model other/],
    [{ vae: { name: 'v', sha256: 'cd'.repeat(32) } }, /VAE v/],
    [{ vae: model }, undefined],
    [{ precision: 'fp16', device: 'cpu' }, /fp16 is not among fp32, bf16/],
    [{ device: 'cuda', precision: 'bf16' }, /cuda bf16 is asked for, and this worker is cpu/],
    [{ store: 'folder:y' }, /another --store/],
  ])('%j', (change, message) => {
    const why = refusal({ ...work, ...change }, able);
    if (message === undefined) expect(why).toBeUndefined();
    else expect(why).toMatch(message);
  });

  it('names a queue by what is asked, not by what a model is called', () => {
    expect(classQueue({ ...work, model: { ...model, name: 'n' } })).toBe(classQueue(work));
    expect(classQueue({ ...work, precision: 'bf16' })).not.toBe(classQueue(work));
  });

  it('tries the queues of the model in memory first, but not for ever, and none that is empty', () => {
    const choices = [
      { queue: 'a1', model: 'a', waiting: 1 },
      { queue: 'b1', model: 'b', waiting: 9 },
      { queue: 'a2', model: 'a', waiting: 3 },
      { queue: 'c', model: 'c', waiting: 0 },
    ];
    const order = (loaded?: { model: string; sinceMs: number }) =>
      chooseOrder(choices, loaded).map(({ queue }) => queue);
    expect(order()).toEqual(['b1', 'a2', 'a1']);
    expect(order({ model: 'a', sinceMs: 0 })).toEqual(['a2', 'a1', 'b1']);
    expect(order({ model: 'a', sinceMs: STAY_MS })).toEqual(['b1', 'a2', 'a1']);
  });
});

describe('a result', () => {
  const pixels = randomBytes(8 * 4 * 3);
  const image = {
    ...{ index: 0, seed: 5, width: 8, height: 4, pixels, pixelSha256: sha256(pixels), latentSha256: HASH },
    ...{ retriedInFp32: false, trail: [{ steps: [0, 1], hashes: ['00112233aabbccdd', 'ffeeddccbbaa9988'] }] },
  };
  const result: TaskResult = {
    ...{ plan: HASH, worker: 'w', device: { name: 'cpu', precision: 'fp32', isa: 'avx2' }, images: [image] },
    times: { load: 0, encode: 0.5, sample: 1, decode: 0.25, total: 2 },
  };

  it('comes back as it was, and says what it was made on', async () => {
    const back = await decodeResult(await encodeResult(result), HASH);
    expect(back).toEqual({ ...result, images: [{ ...image, madeOn: result.device }] });
  });

  it('is refused when it is another one, cut off, damaged or not what it says', async () => {
    const bytes = await encodeResult(result);
    const refused = (data: Buffer, message: string, plan = HASH) =>
      expect(decodeResult(data, plan)).rejects.toMatchObject({
        code: 'E_RESULT',
        message: expect.stringContaining(message),
      });
    await refused(bytes, 'of another plan', 'cd'.repeat(32));
    for (const length of [0, 3, 4, 100]) await refused(bytes.subarray(0, length), 'cut off');
    await refused(bytes.subarray(0, bytes.length - 1), 'length is wrong');
    await refused(Buffer.concat([bytes, Buffer.alloc(1)]), 'length is wrong');
    const head = 4 + bytes.readUInt32LE(0);
    await refused(Buffer.concat([bytes.subarray(0, 4), Buffer.alloc(head - 4, 'x'), bytes.subarray(head)]), 'damaged');
    const wrong = await encodeResult({ ...result, images: [{ ...image, pixelSha256: HASH }] });
    await refused(wrong, 'not those that were made');
    const negative = await encodeResult({ ...result, images: [{ ...image, seed: -1 }] });
    await refused(negative, 'images.0.seed is not valid');
  });
});

describe('messages of a fleet', () => {
  it('carry failures as people read them', () => {
    const text = failureText('E_IO', 'the disk\n is full', 'w');
    expect(text).toBe('E_IO: the disk is full (worker w)');
    expect(parseFailure(text)).toMatchObject({ code: 'E_IO', message: 'the disk is full (worker w)' });
    expect(parseFailure('something else')).toMatchObject({ code: 'E_WORKER', message: 'something else' });
    expect(parseFailure('job stalled more than allowable limit').code).toBe('E_WORKER_LOST');
  });

  it('carry news, and nothing that is none', () => {
    const news: News = {
      ...{ kind: 'step', worker: 'w', batch: 1, batches: 2, step: 3, steps: 4, sigma: 0.5, evaluations: 6 },
      ...{ imagesDone: 0, previews: [{ data: Uint8Array.of(1, 2, 3, 4, 5, 6), width: 2, height: 1 }] },
    };
    const bytes = encodeNews(news);
    expect(decodeNews(bytes)).toEqual(news);
    for (const other of [Buffer.alloc(0), Buffer.from('{}\n'), bytes.subarray(0, -1), Buffer.from('x')]) {
      expect(decodeNews(other)).toBeUndefined();
    }
    expect(parseOrder('skip')).toBe('skip');
    expect(parseOrder('rm -rf')).toBeUndefined();
    expect(parseReceipt({ worker: 'w', place: 'queue', bytes: 1 })).toEqual({ worker: 'w', place: 'queue', bytes: 1 });
    expect(parseReceipt('x')).toBeUndefined();
  });

  it('are no tasks where another version wrote them', () => {
    expect(() => decodeTask({ format: 'sdgen-task-9' })).toThrow(/no plan of this version: format/);
    const bare = { format: 'sdgen-task-1', plan: {}, previewEvery: 0, earlyEnd: false, store: null };
    expect(() => decodeTask(bare)).toThrow(/the plan's/);
  });
});

describe('an address of a queue', () => {
  it('is a Redis, and is shown without its password', () => {
    expect(shownUrl('rediss://user:secret@host:6380/2')).toBe('rediss://user:***@host:6380/2');
    expect(shownUrl('redis://host')).toBe('redis://host');
    for (const text of ['', 'host:6379', 'http://host', 'redis://', 'redis://host/one', 'redis://host/1/2']) {
      expect(() => parseQueueUrl(text)).toThrow(/^--queue/);
    }
  });
});

describe('tallies of a worker', () => {
  it('tell pictures a minute and how busy it was, of the last minute alone', () => {
    let now = 0;
    const tallies = new Tallies(() => now);
    now = 30_000;
    tallies.add(4, 15);
    expect(tallies.view()).toMatchObject({ done: 1, pictures: 4, rate: 8, busy: 0.5 });
    now = 120_000;
    expect(tallies.view()).toMatchObject({ done: 1, pictures: 4, rate: 0, busy: 0 });
  });
});
