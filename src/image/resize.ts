import { COEFFICIENT_BITS, type ResizeFilter, resizeTaps, type Taps } from './resize-filters.js';

export interface Pixels {
  /** Row-major, channels fastest: width * height * channels values. */
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
  /** 1 grey, 3 RGB, 4 RGB with straight (not premultiplied) alpha. */
  readonly channels: 1 | 3 | 4;
}

/** No picture format of ours has a longer side. */
export const MAX_RESIZED_SIDE = 65_535;

/** Beyond a picture of this shape, the tall side is reduced first. */
const TALL = 100;

/**
 * A picture's pixels at another size, byte for byte those of Pillow's `Image.resize` (12.3): two passes, along x and
 * then along y, with coefficients of 22 bits and 8 bits kept between them. A picture with alpha is resized with its
 * colours premultiplied, except by "nearest". The same size gives a copy, whatever the filter.
 * @throws RangeError when the sizes are no whole numbers from 1 to MAX_RESIZED_SIDE, or the data's length is another
 */
export function resize(image: Pixels, width: number, height: number, filter: ResizeFilter): Pixels {
  for (const side of [image.width, image.height, width, height]) {
    if (!Number.isInteger(side) || side < 1 || side > MAX_RESIZED_SIDE)
      throw new RangeError(`a side of ${side} pixels`);
  }
  if (image.data.length !== image.width * image.height * image.channels) {
    throw new RangeError(`${image.data.length} values for ${image.width} x ${image.height} x ${image.channels}`);
  }
  if (image.width === width && image.height === height) return { ...image, data: image.data.slice() };
  if (filter === 'nearest') return nearest(image, width, height);
  if (image.channels !== 4) return resample(image, width, height, filter);
  return divideByAlpha(resample(multiplyByAlpha(image), width, height, filter));
}

function resample(image: Pixels, width: number, height: number, filter: Exclude<ResizeFilter, 'nearest'>): Pixels {
  const alongX = (from: Pixels): Pixels =>
    from.width === width ? from : horizontal(from, width, resizeTaps(from.width, width, filter));
  const alongY = (from: Pixels): Pixels =>
    from.height === height ? from : vertical(from, height, resizeTaps(from.height, height, filter));
  const tall = image.height > image.width * TALL && height < image.height;
  return tall ? alongX(alongY(image)) : alongY(alongX(image));
}

/** Half a unit of the result, so that dropping the fraction rounds. */
const HALF = 1 << (COEFFICIENT_BITS - 1);

function clipped(sum: number): number {
  const value = sum >> COEFFICIENT_BITS;
  return Math.max(0, Math.min(255, value));
}

function horizontal(image: Pixels, width: number, taps: Taps): Pixels {
  const { data, height, channels } = image;
  const { first, count, weights, stride } = taps;
  const out = new Uint8Array(width * height * channels);
  const inputRow = image.width * channels;
  let position = 0;
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const start = y * inputRow + (first[x] as number) * channels;
      const end = x * stride + (count[x] as number);
      for (let channel = 0; channel < channels; channel += 1) {
        let sum = HALF;
        let pixel = start + channel;
        for (let tap = x * stride; tap < end; tap += 1) {
          sum = (sum + Math.imul(data[pixel] as number, weights[tap] as number)) | 0;
          pixel += channels;
        }
        out[position] = clipped(sum);
        position += 1;
      }
    }
  }
  return { data: out, width, height, channels };
}

/** Whole rows at once: a column's values are far apart in memory. */
function vertical(image: Pixels, height: number, taps: Taps): Pixels {
  const { data, width, channels } = image;
  const { first, count, weights, stride } = taps;
  const row = width * channels;
  const out = new Uint8Array(row * height);
  const sums = new Int32Array(row);
  for (let y = 0; y < height; y += 1) {
    sums.fill(HALF);
    for (let tap = 0; tap < (count[y] as number); tap += 1) {
      const weight = weights[y * stride + tap] as number;
      const start = ((first[y] as number) + tap) * row;
      for (let i = 0; i < row; i += 1) {
        sums[i] = (sums[i] as number) + Math.imul(data[start + i] as number, weight);
      }
    }
    for (let i = 0; i < row; i += 1) out[y * row + i] = clipped(sums[i] as number);
  }
  return { data: out, width, height, channels };
}

/** The pixel at the centre of each new one, with the position stepped on as Pillow does. */
function nearest(image: Pixels, width: number, height: number): Pixels {
  const { data, channels } = image;
  const columns = nearestPositions(image.width, width);
  const rows = nearestPositions(image.height, height);
  const out = new Uint8Array(width * height * channels);
  let position = 0;
  for (const row of rows) {
    for (const column of columns) {
      const from = (row * image.width + column) * channels;
      for (let channel = 0; channel < channels; channel += 1) out[position + channel] = data[from + channel] as number;
      position += channels;
    }
  }
  return { data: out, width, height, channels };
}

function nearestPositions(from: number, to: number): Int32Array {
  const step = from / to;
  const positions = new Int32Array(to);
  let position = step * 0.5;
  for (let i = 0; i < to; i += 1) {
    positions[i] = Math.min(from - 1, Math.trunc(position));
    position += step;
  }
  return positions;
}

function multiplyByAlpha(image: Pixels): Pixels {
  const data = image.data.slice();
  for (let i = 0; i < data.length; i += 4) {
    const alpha = data[i + 3] as number;
    for (let channel = i; channel < i + 3; channel += 1) {
      const product = (data[channel] as number) * alpha + 128;
      data[channel] = ((product >> 8) + product) >> 8;
    }
  }
  return { ...image, data };
}

/** In place: the picture is of our own making. */
function divideByAlpha(image: Pixels): Pixels {
  const { data } = image;
  for (let i = 0; i < data.length; i += 4) {
    const alpha = data[i + 3] as number;
    if (alpha === 0 || alpha === 255) continue;
    for (let channel = i; channel < i + 3; channel += 1) {
      data[channel] = Math.min(255, Math.trunc((255 * (data[channel] as number)) / alpha));
    }
  }
  return image;
}
