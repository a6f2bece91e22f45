import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { resize } from '../../../src/image/resize.js';
import type { ResizeFilter } from '../../../src/image/resize-filters.js';
import { cosine, sine } from '../../../src/image/sine.js';
import { made } from '../../support/pictures.js';
import { ROOT } from '../../support/project.js';

type Case = [
  name: string,
  channels: 1 | 3 | 4,
  width: number,
  height: number,
  toWidth: number,
  toHeight: number,
  filter: ResizeFilter,
  hash: string,
];
const FIXTURE: { pillow: string; cases: Case[] } = JSON.parse(
  readFileSync(join(ROOT, 'test/fixtures/resize/pixels.json'), 'utf8'),
);

describe('resize', () => {
  it(`gives the bytes of Pillow ${FIXTURE.pillow} for every filter, kind of picture and pair of sizes`, () => {
    expect(FIXTURE.cases.length).toBe(456);
    const wrong = FIXTURE.cases.filter(([name, channels, width, height, toWidth, toHeight, filter, hash]) => {
      const resized = resize(made(name, width, height, channels), toWidth, toHeight, filter);
      expect([resized.width, resized.height, resized.channels]).toEqual([toWidth, toHeight, channels]);
      return createHash('sha256').update(resized.data).digest('hex').slice(0, 32) !== hash;
    });
    expect(wrong).toEqual([]);
  });

  it('copies a picture that has the size already', () => {
    const image = made('noise', 4, 3, 4);
    const copy = resize(image, 4, 3, 'lanczos');
    expect(copy.data).toEqual(image.data);
    expect(copy.data).not.toBe(image.data);
  });

  it.each([
    [0, 4],
    [4, 1.5],
    [65_536, 1],
    [Number.NaN, 4],
  ])('refuses %d x %d pixels', (width, height) => {
    expect(() => resize(made('noise', 2, 2, 1), width, height, 'box')).toThrow(RangeError);
  });

  it('refuses data of another length', () => {
    expect(() => resize({ data: new Uint8Array(5), width: 2, height: 1, channels: 3 }, 1, 1, 'box')).toThrow(
      /5 values/,
    );
  });
});

describe('sine and cosine', () => {
  it('are those of the engine, to its last bit or so', () => {
    // fdlibm is within one unit of the exact value, and so is the engine: two units of 2^-53 at most, at values to 1.
    for (let i = -4000; i <= 4000; i += 1) {
      const x = (i * 3 * Math.PI) / 4000;
      expect(Math.abs(sine(x) - Math.sin(x))).toBeLessThanOrEqual(2 ** -52);
      expect(Math.abs(cosine(x) - Math.cos(x))).toBeLessThanOrEqual(2 ** -52);
    }
  });
});
