import type { Pixels } from './resize.js';

/** a·b/255, rounded as Pillow rounds it; both 0 … 255. */
export function multiply255(a: number, b: number): number {
  const product = a * b + 128;
  return ((product >> 8) + product) >> 8;
}

/** (a·wa + b·wb)/255, rounded once. */
function mix255(a: number, wa: number, b: number, wb: number): number {
  const sum = a * wa + b * wb + 128;
  return ((sum >> 8) + sum) >> 8;
}

/** "#rrggbb" as levels. */
export function parseColour(text: string): readonly [number, number, number] {
  const at = (i: number): number => Number.parseInt(text.slice(i, i + 2), 16);
  return [at(1), at(3), at(5)];
}

/** A picture as RGB: what is transparent shows the background. @param background "#rrggbb" */
export function flatten(image: Pixels, background: string): Pixels {
  const { data, width, height, channels } = image;
  if (channels === 3) return image;
  const rgb = new Uint8Array(width * height * 3);
  const below = parseColour(background);
  for (let pixel = 0; pixel < width * height; pixel += 1) {
    const alpha = channels === 4 ? (data[pixel * 4 + 3] ?? 0) : 255;
    for (let c = 0; c < 3; c += 1) {
      const level = data[channels === 4 ? pixel * 4 + c : pixel] ?? 0;
      rgb[pixel * 3 + c] = mix255(below[c] ?? 0, 255 - alpha, level, alpha);
    }
  }
  return { data: rgb, width, height, channels: 3 };
}

/** Premultiplied RGBA that shows a picture only where the mask is dark: the picture under the inverted mask. */
export function cutOut(rgb: Pixels, mask: Pixels): Pixels {
  const data = new Uint8Array(rgb.width * rgb.height * 4);
  for (let pixel = 0; pixel < rgb.width * rgb.height; pixel += 1) {
    const alpha = 255 - (mask.data[pixel] ?? 0);
    for (let c = 0; c < 3; c += 1) data[pixel * 4 + c] = multiply255(rgb.data[pixel * 3 + c] ?? 0, alpha);
    data[pixel * 4 + 3] = alpha;
  }
  return { data, width: rgb.width, height: rgb.height, channels: 4 };
}

/** From premultiplied to straight alpha, as Pillow rounds it. */
export function unpremultiply({ data, ...rest }: Pixels): Pixels {
  const out = data.slice();
  for (let i = 0; i < out.length; i += 4) {
    const alpha = out[i + 3] ?? 0;
    if (alpha === 0 || alpha === 255) continue;
    for (let c = i; c < i + 3; c += 1) out[c] = Math.min(255, ((255 * (out[c] ?? 0)) / alpha) | 0);
  }
  return { ...rest, data: out };
}

const PRECISION = 7;

/** Writes `over` over `onto`, both RGBA with straight alpha and of one size, as Pillow's `alpha_composite` rounds it. */
export function compositeOnto(onto: Uint8Array, over: Uint8Array): void {
  const whole = 255 << PRECISION;
  for (let i = 0; i < onto.length; i += 4) {
    const alpha = over[i + 3] ?? 0;
    const below = onto[i + 3] ?? 0;
    if (alpha === 0) continue;
    if (alpha === 255 || below === 0) {
      // What the arithmetic below gives, in a fraction of the time.
      for (let c = i; c < i + 4; c += 1) onto[c] = over[c] ?? 0;
      continue;
    }
    const all = alpha * 255 + below * (255 - alpha);
    const weight = ((alpha * 255 * whole) / all) | 0; // of at most 255 << PRECISION: whole numbers from here on
    for (let c = i; c < i + 3; c += 1) {
      const sum = Math.imul(over[c] ?? 0, weight) + Math.imul(onto[c] ?? 0, whole - weight) + (0x80 << PRECISION);
      onto[c] = (((sum >> 8) + sum) >> 8) >> PRECISION;
    }
    const half = all + 0x80;
    onto[i + 3] = ((half >> 8) + half) >> 8;
  }
}

/** A part of a picture. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** The pixels inside a box, which lies inside the picture. */
export function crop({ data, width, channels }: Pixels, box: Box): Pixels {
  const out = new Uint8Array(box.width * box.height * channels);
  const row = box.width * channels;
  for (let y = 0; y < box.height; y += 1) {
    const start = ((box.y + y) * width + box.x) * channels;
    out.set(data.subarray(start, start + row), y * row);
  }
  return { data: out, width: box.width, height: box.height, channels };
}

/** Puts a picture into another of as many channels; what lies outside is cut off. */
export function paste(onto: Pixels, image: Pixels, x: number, y: number): void {
  const { channels } = onto;
  const left = Math.max(0, x);
  const right = Math.min(onto.width, x + image.width);
  for (let row = Math.max(0, y); row < Math.min(onto.height, y + image.height) && left < right; row += 1) {
    const from = ((row - y) * image.width + left - x) * channels;
    onto.data.set(image.data.subarray(from, from + (right - left) * channels), (row * onto.width + left) * channels);
  }
}
