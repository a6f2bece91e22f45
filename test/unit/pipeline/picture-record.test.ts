import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  decodeRecord,
  encodeRecord,
  type FileRecord,
  isPlanIntact,
  planOfPicture,
} from '../../../src/pipeline/picture-record.js';
import { type GenerationPlan, hashPlan } from '../../../src/pipeline/plan.js';
import { partingOf, type Trail } from '../../../src/pipeline/trail.js';
import { type GenerateEvent, generate } from '../../../src/runtime/generate.js';
import { CachedModelProvider } from '../../../src/runtime/model-provider.js';
import { createFakeEngine } from '../../support/fake-native.js';

let folder: string;
let plan: GenerationPlan;
let record: FileRecord;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sdgen-record-'));
  await writeFile(join(folder, 'one.safetensors'), 'one');
  const provider = new CachedModelProvider({ addon: async () => createFakeEngine().addon });
  const request = { prompt: 'a fox', width: 16, height: 16, steps: 3, seed: 5, count: 2, batchSize: 2 };
  const events: GenerateEvent[] = [];
  const settings = { provider, modelsDir: [folder], model: 'one' };
  for await (const event of generate({ ...request, subseed: 9, subseedStrength: 0.5 }, settings)) events.push(event);
  const done = events.find((event) => event.type === 'done');
  plan = done?.result.prepared.plan as GenerationPlan;
  const made = done?.result.images[2]?.record;
  if (made === undefined) throw new Error('the picture has no record');
  record = { ...made, file: { format: 'png', quality: 80 } };
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const deflated = (value: unknown): Buffer => deflateSync(JSON.stringify(value));
const json = (): Record<string, unknown> => {
  const { trail, ...rest } = record;
  return {
    format: 'sdgen-record-1',
    ...rest,
    trail: trail.map(({ steps, hashes }) => ({
      steps,
      hashes: Buffer.from(hashes.join(''), 'hex').toString('base64'),
    })),
  };
};

describe("a picture's record", () => {
  it('holds the plan of the picture alone, its hash, and the trail with the start and every step', () => {
    expect(record.plan.batches).toEqual([[5]]);
    expect(record.plan.variation).toEqual({ strength: 0.5, batches: [[11]] });
    expect(record.planSha256).toBe(hashPlan(record.plan));
    expect(record.run).toEqual({ planSha256: hashPlan(plan), index: 2 });
    expect(record.trail.map(({ steps }) => steps)).toEqual([[0, 1, 2, 3]]);
    expect(new Set(record.trail[0]?.hashes).size).toBe(4);
  });

  it('is read as it was written, in about a kilobyte', () => {
    const bytes = encodeRecord(record);
    expect(decodeRecord(bytes)).toEqual(record);
    expect(bytes.length).toBeLessThan(1500);
    expect(decodeRecord(deflated(json()))).toEqual(record);
  });

  it('knows a plan that was changed', () => {
    expect(isPlanIntact(record)).toBe(true);
    expect(isPlanIntact({ ...record, plan: { ...record.plan, cfgScale: 8 } })).toBe(false);
  });

  it('takes one picture out of any plan', () => {
    expect([0, 1, 2, 3].map((i) => planOfPicture(plan, i).variation?.batches)).toEqual([[[9]], [[10]], [[11]], [[12]]]);
  });
});

/** Two hashes. */
const ZEROS = Buffer.alloc(16).toString('base64');

describe('a hostile record', () => {
  const refused: [what: string, bytes: () => Uint8Array, message: RegExp][] = [
    ['no deflate stream', () => Buffer.from('{}'), /damaged or too large/],
    ['one that is cut off', () => encodeRecord(record).subarray(0, 200), /damaged or too large/],
    ['one that inflates without end', () => deflateSync(Buffer.alloc(64 << 20)), /damaged or too large/],
    ['one that is too long', () => Buffer.alloc((4 << 20) + 1), /more than 4194304/],
    ['no JSON', () => deflateSync('{'), /damaged/],
    ['another value', () => deflated([1]), /it is not valid/],
    [
      'another format',
      () => deflated({ ...json(), format: 'sdgen-record-9' }),
      /"sdgen-record-9".*reads sdgen-record-1/,
    ],
    ['an unknown field', () => deflated({ ...json(), more: 1 }), /it is not valid/],
    ['no plan', () => deflated({ ...json(), plan: {} }), /the plan's format is not valid/],
    ['a plan of many pictures', () => deflated({ ...json(), plan }), /more than one picture/],
    [
      'a wrong plan',
      () => deflated({ ...json(), plan: { ...record.plan, steps: 1e9 } }),
      /the plan's steps is not valid/,
    ],
    ['too few hashes', () => deflated({ ...json(), trail: [{ steps: [0, 1], hashes: 'AAAAAAAAAAA=' }] }), /as many/],
    [
      'steps that do not rise',
      () => deflated({ ...json(), trail: [{ steps: [0, 0], hashes: ZEROS }] }),
      /steps must rise/,
    ],
    ['no trail', () => deflated({ ...json(), trail: [] }), /trail is not valid/],
    ['an unknown file', () => deflated({ ...json(), file: { format: 'bmp', quality: 1 } }), /file.format is not valid/],
  ];
  it.each(refused)('%s is refused in one line', (_, bytes, message) => {
    expect(() => decodeRecord(bytes())).toThrow(message);
    expect(() => decodeRecord(bytes())).toThrow(expect.objectContaining({ name: 'FailureError' }));
  });
});

describe('two trails', () => {
  const trail = (...hashes: string[]): Trail => [{ steps: hashes.map((_, i) => i), hashes }];

  it('part at the first point that differs', () => {
    expect(partingOf(trail('a', 'b', 'c'), trail('a', 'b', 'c'))).toBeUndefined();
    expect(partingOf(trail('a', 'b', 'c'), trail('x', 'y', 'z'))).toEqual({ pass: 0, step: 0, agreeAgain: false });
    expect(partingOf(trail('a', 'b', 'c'), trail('a', 'b', 'z'))).toEqual({ pass: 0, step: 2, agreeAgain: false });
  });

  it('that agree again were written over, not run otherwise', () => {
    expect(partingOf(trail('a', 'X', 'c'), trail('a', 'b', 'c'))).toEqual({ pass: 0, step: 1, agreeAgain: true });
  });

  it('part where one ends, or has another pass', () => {
    expect(partingOf(trail('a', 'b'), trail('a', 'b', 'c'))).toMatchObject({ pass: 0, step: 2 });
    expect(partingOf(trail('a'), [...trail('a'), ...trail('q')])).toMatchObject({ pass: 1, step: 0 });
    expect(partingOf([{ steps: [0, 3], hashes: ['a', 'b'] }], [{ steps: [0, 2], hashes: ['a', 'b'] }])).toMatchObject({
      step: 2,
    });
  });
});
