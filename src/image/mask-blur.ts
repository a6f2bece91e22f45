import type { Pixels } from './resize.js';

/** One, as kernel weights have it. */
const UNIT = 256;

/** A place past an edge, mirrored at the edge's pixel. */
function mirrored(i: number, count: number): number {
  if (count === 1) return 0;
  const period = 2 * (count - 1);
  const place = ((i % period) + period) % period;
  return place < count ? place : period - place;
}

/**
 * A Gaussian's weights from one end to the middle, and back: whole numbers that add up to 256. What rounding takes from a
 * weight the next one has more, and the middle one gets the rest, as OpenCV does it for 8 bits.
 */
function kernelOf(sigma: number, reach: number): Int32Array {
  const weights = Array.from({ length: 2 * reach + 1 }, (_, i) => Math.exp(-((i - reach) ** 2) / (2 * sigma ** 2)));
  const sum = weights.reduce((all, weight) => all + weight, 0);
  const kernel = new Int32Array(weights.length);
  let [rest, middle] = [0, UNIT];
  for (let i = 0; i < reach; i += 1) {
    const wanted = ((weights[i] ?? 0) / sum) * UNIT + rest;
    const weight = Math.round(wanted);
    rest = wanted - weight;
    kernel[i] = weight;
    kernel[2 * reach - i] = weight;
    middle -= 2 * weight;
  }
  kernel[reach] = middle;
  return kernel;
}

/**
 * A Gaussian along x or y of one channel: 2·int(2.5·sigma + 0.5) + 1 taps, as the webui asks OpenCV's GaussianBlur for: the
 * same bytes (scripts/webui-pictures.py). The weights have 8 bits, so that a wide one is a rough Gaussian.
 * @param sigma in pixels; 0 leaves the mask as it is
 */
export function blurAlong(mask: Pixels, sigma: number, axis: 'x' | 'y'): Pixels {
  if (sigma <= 0) return mask;
  const reach = Math.trunc(2.5 * sigma + 0.5);
  const kernel = kernelOf(sigma, reach);
  const { data, width, height } = mask;
  const [count, lines] = axis === 'x' ? [width, height] : [height, width];
  const [step, lineStep] = axis === 'x' ? [1, width] : [width, 1];
  const places = Int32Array.from({ length: count + 2 * reach }, (_, i) => mirrored(i - reach, count) * step);
  const out = new Uint8Array(data.length);
  for (let line = 0; line < lines; line += 1) {
    const start = line * lineStep;
    for (let i = 0; i < count; i += 1) {
      let sum = UNIT / 2;
      for (let k = 0; k < kernel.length; k += 1) sum += (kernel[k] ?? 0) * (data[start + (places[i + k] ?? 0)] ?? 0);
      out[start + i * step] = sum >> 8;
    }
  }
  return { ...mask, data: out };
}
