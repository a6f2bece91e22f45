import { type Box, crop } from './composite.js';
import type { Pixels } from './resize.js';

/** Passes of the box that together come near a Gaussian. */
const PASSES = 3;
/** Weights are in 1/2^24. */
const BITS = 24;
const UNIT = 1 << BITS;
const HALF = UNIT / 2;

/** A box: a value counts with its `whole` neighbours on each side by `inner`, and with the next two by `edge`. */
interface Kernel {
  readonly whole: number;
  readonly inner: number;
  readonly edge: number;
}

/**
 * The radius of boxes whose `PASSES` passes have a Gaussian's variance, with a fraction (Gwosdek et al., Theoretical
 * Foundations of Gaussian Convolution by Extended Box Filtering), in float32 as Pillow takes it.
 */
function boxRadius(sigma: number): number {
  const variance = Math.fround(Math.fround(sigma ** 2) / PASSES);
  const whole = Math.floor(Math.fround((Math.fround(Math.sqrt(12 * variance + 1)) - 1) / 2));
  const above = Math.fround((2 * whole + 1) * (whole * (whole + 1) - 3 * variance));
  return Math.fround(whole + Math.fround(above / (6 * (variance - (whole + 1) ** 2))));
}

function kernelOf(radius: number): Kernel {
  const whole = Math.trunc(radius);
  const inner = Math.trunc(Math.fround(UNIT / Math.fround(radius * 2 + 1)));
  return { whole, inner, edge: Math.trunc((UNIT - (whole * 2 + 1) * inner) / 2) };
}

/**
 * One pass over the `count` values of `line` that stand between whole + 1 others on each side; past the ends the last value
 * goes on. A weighted sum is below 255.5·2^24, so that 32 bits without a sign hold it.
 */
function blurLine(line: Uint8Array, count: number, { whole, inner, edge }: Kernel, to: Uint8Array): void {
  const first = whole + 1;
  line.fill(line[first] ?? 0, 0, first);
  line.fill(line[first + count - 1] ?? 0, first + count, count + 2 * first);
  let sum = 0;
  for (let i = 0; i < 2 * whole + 1; i += 1) sum += line[i] ?? 0;
  for (let i = 0, last = 2 * first; i < count; i += 1, last += 1) {
    const [before, after] = [line[i] ?? 0, line[last] ?? 0];
    sum += (line[last - 1] ?? 0) - before;
    to[first + i] = (Math.imul(sum, inner) + Math.imul(before + after, edge) + HALF) >>> BITS;
  }
}

/** All passes along x, channel by channel of a row. */
function blurRows(image: Pixels, kernel: Kernel): Pixels {
  const { width, height, channels } = image;
  const data = new Uint8Array(image.data.length);
  const first = kernel.whole + 1;
  let [from, to] = [new Uint8Array(width + 2 * first), new Uint8Array(width + 2 * first)];
  for (let row = 0; row < height; row += 1) {
    for (let c = 0; c < channels; c += 1) {
      const start = row * width * channels + c;
      for (let x = 0, at = start; x < width; x += 1, at += channels) from[first + x] = image.data[at] ?? 0;
      for (let pass = 0; pass < PASSES; pass += 1) {
        blurLine(from, width, kernel, to);
        [from, to] = [to, from];
      }
      for (let x = 0, at = start; x < width; x += 1, at += channels) data[at] = from[first + x] ?? 0;
    }
  }
  return { ...image, data };
}

/** One pass along y, a row at a time: a sum for every column goes down with it. */
function blurDown(from: Uint8Array, to: Uint8Array, height: number, row: number, kernel: Kernel): void {
  const { whole, inner, edge } = kernel;
  const sums = new Int32Array(row);
  const rowAt = (y: number): Uint8Array => {
    const start = Math.min(height - 1, Math.max(0, y)) * row;
    return from.subarray(start, start + row);
  };
  for (let y = -whole - 1; y < whole; y += 1) {
    const values = rowAt(y);
    for (let x = 0; x < row; x += 1) sums[x] = (sums[x] ?? 0) + (values[x] ?? 0);
  }
  for (let y = 0; y < height; y += 1) {
    const [before, last, after] = [rowAt(y - whole - 1), rowAt(y + whole), rowAt(y + whole + 1)];
    const out = to.subarray(y * row, (y + 1) * row);
    for (let x = 0; x < row; x += 1) {
      const sum = (sums[x] ?? 0) + (last[x] ?? 0) - (before[x] ?? 0);
      sums[x] = sum;
      const ends = (before[x] ?? 0) + (after[x] ?? 0);
      out[x] = (Math.imul(sum, inner) + Math.imul(ends, edge) + HALF) >>> BITS;
    }
  }
}

/** All passes along y. */
function blurColumns(image: Pixels, kernel: Kernel): Pixels {
  const row = image.width * image.channels;
  let [from, to] = [image.data.slice(), new Uint8Array(image.data.length)];
  for (let pass = 0; pass < PASSES; pass += 1) {
    blurDown(from, to, image.height, row, kernel);
    [from, to] = [to, from];
  }
  return { ...image, data: from };
}

/**
 * Pillow's GaussianBlur, which is three box blurs along x and three along y, on 8 bits each: the pixels inside a box, as if
 * the whole picture had been blurred. What is too far away to reach the box is not looked at.
 */
export function gaussianBlurInside(image: Pixels, sigma: number, box: Box): Pixels {
  const radius = boxRadius(sigma);
  if (radius === 0) return crop(image, box);
  const kernel = kernelOf(radius);
  const reach = PASSES * (kernel.whole + 1);
  const [x, y] = [Math.max(0, box.x - reach), Math.max(0, box.y - reach)];
  const width = Math.min(image.width, box.x + box.width + reach) - x;
  const height = Math.min(image.height, box.y + box.height + reach) - y;
  const rows = blurRows(crop(image, { x, y, width, height }), kernel);
  const columns = blurColumns(crop(rows, { x: box.x - x, y: 0, width: box.width, height }), kernel);
  return crop(columns, { x: 0, y: box.y - y, width: box.width, height: box.height });
}

/** Pillow's GaussianBlur of a whole picture. */
export function gaussianBlur(image: Pixels, sigma: number): Pixels {
  return gaussianBlurInside(image, sigma, { x: 0, y: 0, width: image.width, height: image.height });
}
