import { describe, expect, it } from 'vitest';
import { gaussianBlur, gaussianBlurInside } from '../../../src/image/box-blur.js';
import { compositeOnto, crop } from '../../../src/image/composite.js';
import { fillMasked } from '../../../src/image/mask.js';
import type { Pixels } from '../../../src/image/resize.js';
import { plainBlur, plainComposite, plainFill } from '../../support/plain-fill.js';

/** A small generator of its own: the same pictures every time. */
function noise(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  };
}

function picture(width: number, height: number, channels: 1 | 3 | 4, level: (x: number, y: number) => number): Pixels {
  const data = new Uint8Array(width * height * channels);
  for (const i of data.keys()) {
    const pixel = Math.floor(i / channels);
    data[i] = level(pixel % width, Math.floor(pixel / width));
  }
  return { data, width, height, channels };
}

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

describe("the quick blur's bytes are those of its definition", () => {
  it.each([
    [1, 1, 1, 2],
    [1, 9, 3, 4],
    [23, 1, 4, 16],
    [37, 29, 3, 0],
    [37, 29, 3, 0.5],
    [37, 29, 1, 2],
    [31, 40, 4, 16],
    [16, 12, 4, 256],
    [8, 8, 1, 1000],
  ] as const)('%ix%i of %i channels by %d', (width, height, channels, sigma) => {
    const random = picture(width, height, channels, noise(width + sigma));
    expect(sameBytes(gaussianBlur(random, sigma).data, plainBlur(random, sigma).data)).toBe(true);
    const white = picture(width, height, channels, () => 255);
    expect(sameBytes(gaussianBlur(white, sigma).data, white.data)).toBe(
      sameBytes(plainBlur(white, sigma).data, white.data),
    );
  });

  it.each([0, 1, 2, 4, 16])('in a part of the picture too, by %d', (sigma) => {
    const random = picture(70, 60, 4, noise(5));
    const whole = plainBlur(random, sigma);
    for (const [x, y, width, height] of [
      [0, 0, 9, 7],
      [31, 22, 8, 5],
      [60, 50, 10, 10],
      [0, 20, 70, 1],
      [13, 0, 1, 60],
    ] as const) {
      const box = { x, y, width, height };
      expect(sameBytes(gaussianBlurInside(random, sigma, box).data, crop(whole, box).data), `${x}, ${y}`).toBe(true);
    }
  });
});

describe("the quick fill's bytes are those of its definition", () => {
  it('for layers over each other, opaque and transparent ones too', () => {
    const random = noise(9);
    const onto = Uint8Array.from({ length: 4 * 65536 }, (_, i) => (i % 4 === 3 && i % 32 === 3 ? 0 : random()));
    const over = Uint8Array.from({ length: onto.length }, (_, i) => (i % 4 === 3 && i % 8 === 3 ? 255 : random()));
    const expected = plainComposite(onto, over);
    compositeOnto(onto, over);
    expect(sameBytes(onto, expected)).toBe(true);
  });

  const INSIDE = (x: number, y: number): number => (x > 20 && x < 41 && y > 11 && y < 30 ? 255 : 0);
  it.each([
    ['a box', INSIDE],
    ['a soft blob', (x: number, y: number) => Math.max(0, 255 - 12 * (Math.abs(x - 30) + Math.abs(y - 20)))],
    ['two corners', (x: number, y: number) => (x + y < 9 || x + y > 92 ? 200 : 0)],
    ['all', () => 255],
    ['nothing', () => 0],
    ['noise', noise(3)],
  ])('%s', (_, level) => {
    const rgb = picture(56, 48, 3, noise(4));
    const mask = picture(56, 48, 1, level);
    expect(sameBytes(fillMasked(rgb, mask).data, plainFill(rgb, mask))).toBe(true);
  });
});
