import type { Pixels } from './resize.js';

/** Passes of the box that together come near a Gaussian. */
const PASSES = 3;
const UNIT = 1 << 24;

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

/** One pass over `count` values from `at` on, `stride` apart; past the ends the last value goes on. */
function blurLine(from: Uint8Array, to: Uint8Array, at: number, stride: number, count: number, radius: number): void {
  const whole = Math.trunc(radius);
  const inner = Math.trunc(Math.fround(UNIT / Math.fround(radius * 2 + 1)));
  const edge = Math.trunc((UNIT - (whole * 2 + 1) * inner) / 2);
  const value = (i: number): number => from[at + Math.min(count - 1, Math.max(0, i)) * stride] ?? 0;
  let sum = 0;
  for (let i = -whole - 1; i < whole; i += 1) sum += value(i);
  for (let i = 0; i < count; i += 1) {
    sum += value(i + whole) - value(i - whole - 1);
    const total = sum * inner + (value(i - whole - 1) + value(i + whole + 1)) * edge;
    to[at + i * stride] = Math.floor((total + UNIT / 2) / UNIT);
  }
}

/** Pillow's GaussianBlur, which is three box blurs along x and three along y, on 8 bits each. */
export function gaussianBlur(image: Pixels, sigma: number): Pixels {
  const { width, height, channels } = image;
  const radius = boxRadius(sigma);
  if (radius === 0) return { ...image, data: image.data.slice() };
  let [from, to] = [image.data.slice(), new Uint8Array(image.data.length)];
  const pass = (lines: number, lineStride: number, stride: number, count: number): void => {
    for (let line = 0; line < lines; line += 1) {
      for (let c = 0; c < channels; c += 1) blurLine(from, to, line * lineStride + c, stride, count, radius);
    }
    [from, to] = [to, from];
  };
  for (let i = 0; i < PASSES; i += 1) pass(height, width * channels, channels, width);
  for (let i = 0; i < PASSES; i += 1) pass(width, channels, width * channels, height);
  return { ...image, data: from };
}
