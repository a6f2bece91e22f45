import { pythonFloat } from '../image/python-text.js';
import { dropAlpha } from '../image/read-picture.js';
import { type Pixels, resize } from '../image/resize.js';
import { upscaleBy } from '../image/upscalers.js';
import type { UpscaleRequest } from '../request/upscale.js';
import { findPixelUpscaler, type PixelUpscaler } from '../request/upscalers.js';

export interface UpscaledPicture {
  readonly pixels: Pixels;
  /** What was done, by the webui's names, in their order. */
  readonly notes: readonly (readonly [key: string, value: string])[];
}

type Notes = [string, string][];

/** The factor, and the size to which the picture is cut where one is asked for. */
function targetOf(image: Pixels, { scale, width, height, crop }: UpscaleRequest) {
  if (width === undefined && height === undefined)
    return { scale, note: ['Postprocess upscale by', pythonFloat(scale)] };
  const [toWidth, toHeight] = [(width ?? 0) / image.width, (height ?? 0) / image.height];
  const factor = Math.max(toWidth, toHeight);
  // A side that is not given follows the other.
  const w = width ?? Math.round(image.width * factor);
  const h = height ?? Math.round(image.height * factor);
  const note = ['Postprocess upscale to', `${w}x${h}`];
  return { scale: factor, note, cover: { width: w, height: h, crop } };
}

/** What one upscaler makes of the picture. */
function upscaled(image: Pixels, request: UpscaleRequest, upscaler: PixelUpscaler, notes: Notes): Pixels {
  const { scale, note, cover } = targetOf(image, request);
  notes.push([note[0] ?? '', note[1] ?? '']);
  const made = upscaleBy(image, scale, upscaler);
  if (cover === undefined) return made;
  const { width, height, crop } = cover;
  // Sides that are no multiples of 8 were cut short: nothing of the size asked for stays empty.
  const [w, h] = [Math.round(image.width * scale), Math.round(image.height * scale)];
  const isShort = made.width < width || made.height < height;
  const whole = isShort ? resize(made, Math.max(w, width), Math.max(h, height), 'lanczos') : made;
  if (!crop) return whole;
  if (request.width !== undefined && request.height !== undefined)
    notes.push(['Postprocess crop to', `${width}x${height}`]);
  return cropCentred(whole, width, height);
}

/** The middle of a picture that is as large or larger. */
function cropCentred(image: Pixels, width: number, height: number): Pixels {
  if (image.width === width && image.height === height) return image;
  const { data, channels } = image;
  const left = Math.floor(image.width / 2) - Math.floor(width / 2);
  const top = Math.floor(image.height / 2) - Math.floor(height / 2);
  const out = new Uint8Array(width * height * channels);
  for (let y = 0; y < height; y += 1) {
    const start = ((top + y) * image.width + left) * channels;
    out.set(data.subarray(start, start + width * channels), y * width * channels);
  }
  return { data: out, width, height, channels };
}

/** Pillow's Image.blend: float32, truncated. */
function blend(first: Pixels, second: Pixels, share: number): Pixels {
  const alpha = Math.fround(share);
  const data = first.data.map((value, i) =>
    Math.trunc(Math.fround(value + Math.fround(alpha * ((second.data[i] ?? 0) - value)))),
  );
  return { ...first, data };
}

/**
 * A picture at another size, as the webui's extras make it. Upscaler "None" leaves it as it is.
 * @throws UsageError for an unknown upscaler and for a picture that would be too large
 */
export function upscalePicture(image: Pixels, request: UpscaleRequest): UpscaledPicture {
  const first = findPixelUpscaler(request.upscaler);
  const second = findPixelUpscaler(request.upscaler2, 'upscaler2');
  if (first === 'None') return { pixels: image, notes: [] };
  const source = image.channels === 1 ? dropAlpha(image) : image;
  const notes: Notes = [];
  const made = upscaled(source, request, first, notes);
  notes.push(['Postprocess upscaler', first]);
  if (second === 'None' || request.upscaler2Visibility === 0) return { pixels: made, notes };
  const other = upscaled(source, request, second, []);
  notes.push(['Postprocess upscaler 2', second]);
  return { pixels: blend(made, other, request.upscaler2Visibility), notes };
}
