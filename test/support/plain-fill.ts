import { cutOut, unpremultiply } from '../../src/image/composite.js';
import type { Pixels } from '../../src/image/resize.js';

/** Pillow's box blur and the webui's fill as they are defined, value by value over whole pictures: what is quick is compared with it. */

const UNIT = 1 << 24;

/** The radius of a box for a Gaussian, in float32. */
function radiusOf(sigma: number): number {
  const f = Math.fround;
  const variance = f(f(sigma ** 2) / 3);
  const whole = Math.floor(f((f(Math.sqrt(12 * variance + 1)) - 1) / 2));
  return f(whole + f(f((2 * whole + 1) * (whole * (whole + 1) - 3 * variance)) / (6 * (variance - (whole + 1) ** 2))));
}

function plainPass(image: Pixels, radius: number, along: 'x' | 'y'): Pixels {
  const { data, width, height, channels } = image;
  const whole = Math.trunc(radius);
  const inner = Math.trunc(Math.fround(UNIT / Math.fround(radius * 2 + 1)));
  const edge = Math.trunc((UNIT - (whole * 2 + 1) * inner) / 2);
  const count = along === 'x' ? width : height;
  const out = data.map((_, i) => {
    const [c, x, y] = [i % channels, Math.floor(i / channels) % width, Math.floor(i / channels / width)];
    const place = along === 'x' ? x : y;
    const value = (k: number): number => {
      const clamped = Math.min(count - 1, Math.max(0, place + k));
      const [px, py] = along === 'x' ? [clamped, y] : [x, clamped];
      return data[(py * width + px) * channels + c] ?? 0;
    };
    let sum = 0;
    for (let k = -whole; k <= whole; k += 1) sum += value(k);
    const total = sum * inner + (value(-whole - 1) + value(whole + 1)) * edge;
    return Math.floor((total + UNIT / 2) / UNIT);
  });
  return { ...image, data: out };
}

export function plainBlur(image: Pixels, sigma: number): Pixels {
  const radius = radiusOf(sigma);
  if (radius === 0) return image;
  return (['x', 'x', 'x', 'y', 'y', 'y'] as const).reduce((all, along) => plainPass(all, radius, along), image);
}

/** One pixel over another, straight alpha. */
function plainOver(onto: readonly number[], over: readonly number[]): number[] {
  const [alpha, below] = [over[3] ?? 0, onto[3] ?? 0];
  if (alpha === 0) return [...onto];
  const all = alpha * 255 + below * (255 - alpha);
  const weight = Math.trunc((alpha * 255 * 255 * 128) / all);
  const colours = [0, 1, 2].map((c) => {
    const sum = (over[c] ?? 0) * weight + (onto[c] ?? 0) * (255 * 128 - weight) + 128 * 128;
    return (((sum >> 8) + sum) >> 8) >> 7;
  });
  return [...colours, (all + 128 + ((all + 128) >> 8)) >> 8];
}

export function plainComposite(onto: Uint8Array, over: Uint8Array): Uint8Array {
  const pixels = Array.from({ length: onto.length / 4 }, (_, i) =>
    plainOver([...onto.subarray(4 * i, 4 * i + 4)], [...over.subarray(4 * i, 4 * i + 4)]),
  );
  return Uint8Array.from(pixels.flat());
}

export function plainFill(rgb: Pixels, mask: Pixels): Uint8Array {
  const seen = cutOut(rgb, mask);
  let filled = new Uint8Array(seen.data.length);
  for (const [sigma, times] of [
    [256, 1],
    [64, 1],
    [16, 2],
    [4, 4],
    [2, 2],
    [0, 1],
  ] as const) {
    const layer = unpremultiply(plainBlur(seen, sigma));
    for (let i = 0; i < times; i += 1) filled = plainComposite(filled, layer.data) as typeof filled;
  }
  return filled.filter((_, i) => i % 4 !== 3);
}
