import { describe, expect, it } from 'vitest';
import { gaussianBlur } from '../../../src/image/box-blur.js';
import { correctColours } from '../../../src/image/colour-correction.js';
import { flatten } from '../../../src/image/composite.js';
import { fitTo } from '../../../src/image/fit.js';
import {
  fillMasked,
  latentMask,
  maskedRegion,
  overlayOf,
  putOver,
  readMask,
  strengthened,
} from '../../../src/image/mask.js';
import { boxMask, draw, scene } from '../../support/pictures.js';

const PLAIN = { invert: false, round: true, blurX: 0, blurY: 0 };
const levels = (image: { data: Uint8Array }) => [...image.data];

/** A Gaussian in float64 with the edge's pixel as the mirror, one axis. */
function blurred(line: readonly number[], sigma: number): number[] {
  const reach = Math.trunc(2.5 * sigma + 0.5);
  const at = (i: number): number => {
    let place = i;
    while (place < 0 || place >= line.length) place = place < 0 ? -place : 2 * (line.length - 1) - place;
    return line[place] ?? 0;
  };
  const weight = (k: number): number => Math.exp(-(k * k) / (2 * sigma * sigma));
  const taps = Array.from({ length: 2 * reach + 1 }, (_, k) => k - reach);
  const sum = taps.reduce((all, k) => all + weight(k), 0);
  return line.map((_, i) => taps.reduce((all, k) => all + (weight(k) / sum) * at(i + k), 0));
}

describe('a mask', () => {
  it('is the alpha where any of it is not opaque, else the luminance', () => {
    const alpha = draw(3, 1, (x, _y, c) => (c === 3 ? ([128, 129, 255][x] ?? 0) : 0), 4);
    expect(levels(readMask(alpha, PLAIN))).toEqual([0, 255, 255]);
    expect(levels(readMask(alpha, { ...PLAIN, round: false }))).toEqual([128, 129, 255]);
    expect(levels(readMask(alpha, { ...PLAIN, invert: true }))).toEqual([255, 0, 0]);
    const colours = draw(3, 1, (x, _y, c) => (x === c ? 255 : 0));
    expect(levels(readMask(colours, PLAIN))).toEqual([76, 150, 29]); // red, green, blue as ITU-R 601 weighs them
  });

  it('is blurred along x and y by a Gaussian', () => {
    const line = Array.from({ length: 24 }, (_, i) => (i >= 7 && i < 15 ? 255 : 0));
    for (const sigma of [0.4, 1.5, 4]) {
      const row = draw(24, 1, (x) => line[x] ?? 0, 1);
      const column = draw(1, 24, (_x, y) => line[y] ?? 0, 1);
      const got = levels(readMask(row, { ...PLAIN, blurX: sigma }));
      // Weights of 8 bits, each off by half of one: OpenCV's (webui-pictures.test.ts has its bytes).
      for (const [i, value] of blurred(line, sigma).entries()) expect(Math.abs((got[i] ?? 0) - value)).toBeLessThan(4);
      expect(levels(readMask(column, { ...PLAIN, blurY: sigma }))).toEqual(got);
    }
  });

  it('gives cells of the latent, whole or soft', () => {
    const mask = readMask(boxMask(32, 16, [0, 0, 12, 16]), PLAIN);
    expect([...latentMask(mask, 4, 2, true)]).toEqual([1, 1, 0, 0, 1, 1, 0, 0]);
    const soft = latentMask(mask, 4, 2, false);
    expect(soft[0]).toBeCloseTo(1, 1);
    expect(soft[1]).toBeGreaterThan(0.3);
    expect(soft[1]).toBeLessThan(0.7);
  });

  it('counts twice where the whole picture was made', () => {
    expect(levels(strengthened(draw(3, 1, (x) => [0, 100, 200][x] ?? 0, 1)))).toEqual([0, 200, 255]);
  });
});

describe('the masked part', () => {
  const region = (box: number[], padding: number, width: number, height: number) =>
    maskedRegion(readMask(boxMask(100, 60, box), PLAIN), padding, width, height);

  it('is the box around the mask with its padding, in the shape of the result', () => {
    expect(region([40, 20, 60, 40], 0, 64, 64)).toEqual({ x: 40, y: 20, width: 20, height: 20 });
    expect(region([40, 20, 60, 40], 5, 64, 64)).toEqual({ x: 35, y: 15, width: 30, height: 30 });
    expect(region([40, 20, 60, 30], 0, 64, 64)).toEqual({ x: 40, y: 15, width: 20, height: 20 });
    expect(region([40, 20, 50, 40], 0, 128, 64)).toEqual({ x: 25, y: 20, width: 40, height: 20 });
  });

  it('stays inside the picture', () => {
    expect(region([0, 0, 40, 10], 8, 64, 64)).toEqual({ x: 0, y: 0, width: 48, height: 48 });
    expect(region([90, 50, 100, 60], 10, 64, 64)).toEqual({ x: 80, y: 40, width: 20, height: 20 });
    expect(region([0, 0, 100, 60], 0, 64, 64)).toEqual({ x: 0, y: 0, width: 100, height: 60 });
    for (let i = 0; i < 200; i += 1) {
      const [l, t] = [(i * 37) % 90, (i * 23) % 50];
      const box = [l, t, l + 1 + ((i * 7) % 10), t + 1 + ((i * 11) % 10)];
      const found = region(box, i % 13, 64 + 8 * (i % 5), 64);
      expect(found).toBeDefined();
      const { x, y, width, height } = found ?? { x: -1, y: -1, width: 0, height: 0 };
      expect(x >= 0 && y >= 0 && x + width <= 100 && y + height <= 60).toBe(true);
      expect(x <= l && y <= t && x + width >= (box[2] ?? 0) && y + height >= (box[3] ?? 0)).toBe(true);
    }
  });

  it('is none where the mask is black', () => {
    expect(region([0, 0, 0, 0], 8, 64, 64)).toBeUndefined();
  });
});

describe('a picture at another size', () => {
  it('covers it and is cut, or lies inside it with its edges drawn out', () => {
    const wide = draw(8, 4, (x, y) => 10 * x + y);
    const cropped = fitTo(wide, 'crop', 4, 4);
    expect(levels(cropped)).toEqual(levels(draw(4, 4, (x, y) => 10 * (x + 2) + y)));
    const filled = fitTo(wide, 'fill', 8, 8);
    expect(levels(filled)).toEqual(levels(draw(8, 8, (x, y) => 10 * x + Math.min(3, Math.max(0, y - 2)))));
    const tall = draw(4, 8, (x, y) => 10 * x + y);
    expect(levels(fitTo(tall, 'fill', 8, 8))).toEqual(
      levels(draw(8, 8, (x, y) => 10 * Math.min(3, Math.max(0, x - 2)) + y)),
    );
    expect(fitTo(scene(33, 17), 'crop', 64, 40)).toMatchObject({ width: 64, height: 40 });
    expect(fitTo(scene(5, 300), 'fill', 64, 64)).toMatchObject({ width: 64, height: 64 });
  });
});

describe('transparent places', () => {
  it('show the background', () => {
    const half = draw(2, 1, (x, _y, c) => (c === 3 ? (x === 0 ? 0 : 128) : 200), 4);
    expect(levels(flatten(half, '#102030'))).toEqual([16, 32, 48, 108, 116, 124]);
  });
});

describe('what a mask covers', () => {
  const image = scene(40, 24);
  const mask = readMask(boxMask(40, 24, [10, 6, 30, 18]), PLAIN);
  const inside = (i: number): boolean => (mask.data[Math.floor(i / 3)] ?? 0) === 255;

  it('is filled from around, and the rest stays', () => {
    const flat = draw(40, 24, (_x, _y, c) => [200, 100, 50][c] ?? 0);
    const painted = { ...flat, data: flat.data.map((value, i) => (inside(i) ? 0 : value)) };
    const filled = fillMasked(painted, mask);
    for (const [i, value] of filled.data.entries()) {
      expect(Math.abs(value - (flat.data[i] ?? 0)), `${i}`).toBeLessThanOrEqual(inside(i) ? 3 : 0);
    }
  });

  it('is all that a result changes', () => {
    const result = draw(40, 24, () => 77);
    const over = putOver(result, overlayOf(image, mask), undefined);
    for (const [i, value] of over.data.entries()) expect(value).toBe(inside(i) ? 77 : image.data[i]);
    const part = putOver(
      draw(16, 16, () => 77),
      overlayOf(image, mask),
      { x: 8, y: 4, width: 24, height: 16 },
    );
    for (const [i, value] of part.data.entries()) expect(value).toBe(inside(i) ? 77 : image.data[i]);
  });

  it('is blurred near a Gaussian by three boxes', () => {
    const line = Array.from({ length: 60 }, (_, i) => (i >= 25 && i < 35 ? 255 : 0));
    const row = draw(60, 1, (x) => line[x] ?? 0, 1);
    for (const sigma of [2, 4]) {
      const got = levels(gaussianBlur(row, sigma));
      for (const [i, value] of blurred(line, sigma).entries()) expect(Math.abs((got[i] ?? 0) - value)).toBeLessThan(9);
      expect(got.reduce((a, b) => a + b, 0)).toBeCloseTo(2550, -2);
    }
    expect(levels(gaussianBlur(row, 0))).toEqual(line);
  });
});

describe('colour correction', () => {
  it('leaves a picture that has the colours already, and moves one that has not', () => {
    const image = scene(32, 32);
    const same = correctColours(image, image);
    // L*, a* and b* have 8 bits each.
    for (const [i, value] of same.data.entries()) expect(Math.abs(value - (image.data[i] ?? 0))).toBeLessThanOrEqual(6);
    const grey = draw(32, 32, (x, y) => (x * 5 + y * 3) % 256);
    const red = draw(32, 32, (x, y, c) => (c === 0 ? 200 : (x + y) % 90));
    const warm = correctColours(grey, red);
    const mean = (image: { data: Uint8Array }, c: number) =>
      image.data.reduce((sum, value, i) => (i % 3 === c ? sum + value : sum), 0);
    expect(mean(warm, 0)).toBeGreaterThan(mean(warm, 2) * 1.2);
  });
});
