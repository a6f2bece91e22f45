import { createHash, randomBytes } from 'node:crypto';
import { deflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { getInputs, putInput } from '../../../src/fleet/inputs.js';
import type { BlobStore } from '../../../src/fleet/stores/store.js';
import type { PlanStart } from '../../../src/pipeline/plan-start.js';

class MemoryStore implements BlobStore {
  readonly id = 'memory';
  readonly blobs = new Map<string, Buffer>();
  gets = 0;

  async put(key: string, data: Uint8Array): Promise<void> {
    this.blobs.set(key, Buffer.from(data));
  }
  async get(key: string): Promise<Buffer | undefined> {
    this.gets += 1;
    return this.blobs.get(key);
  }
  async remove(key: string): Promise<void> {
    this.blobs.delete(key);
  }
}

const picture = (channels: 3 | 4) => ({ data: randomBytes(5 * 3 * channels), width: 5, height: 3, channels });
const asPlan = ({ data, ...rest }: ReturnType<typeof picture>) => ({
  ...rest,
  sha256: createHash('sha256').update(data).digest('hex'),
});
type Start = Pick<PlanStart, 'pictures' | 'mask'>;
const startOf = (pictures: ReturnType<typeof picture>[], mask?: ReturnType<typeof picture>): PlanStart =>
  ({
    pictures: pictures.map(asPlan),
    mask: mask === undefined ? null : { picture: asPlan(mask) },
  }) as Start as PlanStart;

describe('pictures that plans begin with', () => {
  it('come back as they were, each fetched once', async () => {
    const store = new MemoryStore();
    const [a, b] = [picture(3), picture(4)];
    for (const one of [a, b]) await putInput(store, one);
    expect(await getInputs(startOf([a, b, a], b), store)).toEqual({ initImages: [a, b, a], mask: b });
    expect(store.gets).toBe(2);
    expect(await getInputs(startOf([a]), store)).toEqual({ initImages: [a] });
  });

  it('are refused when they are gone, damaged, too large or others', async () => {
    const store = new MemoryStore();
    const one = picture(3);
    const start = startOf([one]);
    const [{ sha256 } = { sha256: '' }] = start.pictures;
    const refused = (message: string) =>
      expect(getInputs(start, store)).rejects.toMatchObject({
        code: 'E_INPUT',
        message: expect.stringContaining(message),
      });
    await refused('is not where plans leave them');
    store.blobs.set(`inputs/${sha256}`, Buffer.from('no deflate'));
    await refused('is damaged');
    store.blobs.set(`inputs/${sha256}`, deflateSync(Buffer.alloc(1 << 20)));
    await refused('is damaged');
    store.blobs.set(`inputs/${sha256}`, deflateSync(randomBytes(one.data.length)));
    await refused('is not the one that was left');
    store.blobs.set(`inputs/${sha256}`, deflateSync(one.data.subarray(1)));
    await refused('is not the one that was left');
  });
});
