import { cosine, sine } from './sine.js';

/** A way of making a picture's pixels from those of one of another size, by its name in Pillow. */
export type ResizeFilter = 'nearest' | 'box' | 'bilinear' | 'hamming' | 'bicubic' | 'lanczos';

interface Kernel {
  /** Half its width, in pixels of the larger of the two pictures. */
  readonly support: number;
  readonly weight: (x: number) => number;
}

/** The kernels of Pillow's Resample.c, operation by operation. */
const KERNELS: Readonly<Record<Exclude<ResizeFilter, 'nearest'>, Kernel>> = {
  box: { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  hamming: { support: 1, weight: hamming },
  bicubic: { support: 2, weight: bicubic },
  lanczos: { support: 3, weight: (x) => (-3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/** The two constants are float32 values there. */
const HAMMING_MEAN = Math.fround(0.54);
const HAMMING_SWING = Math.fround(0.46);

function hamming(x: number): number {
  const distance = Math.abs(x);
  if (distance >= 1) return 0;
  return sinc(distance) * (HAMMING_MEAN + HAMMING_SWING * cosine(distance * Math.PI));
}

/** The cubic convolution with a = −1/2. */
function bicubic(x: number): number {
  const d = Math.abs(x);
  if (d < 1) return (1.5 * d - 2.5) * d * d + 1;
  return d < 2 ? (((d - 5) * d + 8) * d - 4) * -0.5 : 0;
}

function sinc(x: number): number {
  const angle = x * Math.PI;
  return x === 0 ? 1 : sine(angle) / angle;
}

/** A coefficient of 1. With values of 8 bits, and a sum of coefficients below 2, a sum of products fits 32 bits. */
export const COEFFICIENT_BITS = 22;

/** What one side of a resized picture is made of. */
export interface Taps {
  /** Of each output pixel the first input pixel it reads. */
  readonly first: Int32Array;
  /** How many it reads. */
  readonly count: Int32Array;
  /** The weights of output pixel i from i·stride on, in units of 2^−COEFFICIENT_BITS. */
  readonly weights: Int32Array;
  readonly stride: number;
}

/** The taps that make `to` pixels out of `from`; where that is fewer, the kernel is stretched so that all take part. */
export function resizeTaps(from: number, to: number, filter: Exclude<ResizeFilter, 'nearest'>): Taps {
  const { support: halfWidth, weight } = KERNELS[filter];
  const scale = from / to;
  const stretch = Math.max(1, scale);
  const support = halfWidth * stretch;
  const shrink = 1 / stretch;
  const stride = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(to);
  const count = new Int32Array(to);
  const weights = new Int32Array(to * stride);
  const unrounded = new Float64Array(stride);
  for (let i = 0; i < to; i += 1) {
    const centre = (i + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - support + 0.5));
    const taps = Math.min(from, Math.trunc(centre + support + 0.5)) - start;
    let total = 0;
    for (let tap = 0; tap < taps; tap += 1) {
      unrounded[tap] = weight((tap + start - centre + 0.5) * shrink);
      total += unrounded[tap] ?? 0;
    }
    for (let tap = 0; tap < taps; tap += 1) {
      const share = total === 0 ? (unrounded[tap] ?? 0) : (unrounded[tap] ?? 0) / total;
      // Halves go away from 0.
      weights[i * stride + tap] = Math.trunc(share * 2 ** COEFFICIENT_BITS + (share < 0 ? -0.5 : 0.5));
    }
    first[i] = start;
    count[i] = taps;
  }
  return { first, count, weights, stride };
}
