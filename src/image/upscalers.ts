import { UsageError } from '../request/errors.js';
import type { PixelUpscaler } from '../request/upscalers.js';
import { MAX_RESIZED_SIDE, type Pixels, resize } from './resize.js';

/** An upscaled picture is one in memory: 4 bytes a pixel at most. */
export const MAX_UPSCALED_PIXELS = 268_435_456;

/** A factor and a side as Python multiplies and truncates them. */
const scaled = (side: number, scale: number): number => Math.trunc(side * scale);
const wholeCells = (side: number): number => Math.max(8, Math.floor(side / 8) * 8);

/** @throws UsageError for a picture that would be too large */
function requireSize(width: number, height: number): void {
  const fits = Math.max(width, height) <= MAX_RESIZED_SIDE && width * height <= MAX_UPSCALED_PIXELS;
  if (fits) return;
  throw new UsageError(
    `the picture would have ${width}x${height} pixels: sides may have ${MAX_RESIZED_SIDE} and all ${MAX_UPSCALED_PIXELS}`,
    'scale',
  );
}

/** One run of an upscaler; "None" leaves the picture as it is. */
function enlarge(image: Pixels, scale: number, upscaler: PixelUpscaler): Pixels {
  if (upscaler === 'None') return image;
  const [width, height] = [scaled(image.width, scale), scaled(image.height, scale)];
  return resize(image, Math.max(1, width), Math.max(1, height), upscaler === 'Lanczos' ? 'lanczos' : 'nearest');
}

/**
 * A picture by a factor, in the webui's way: the upscaler runs until the sides are there, at most three times, and what
 * it missed is resized by Lanczos. Sides are cut to multiples of 8.
 * @throws UsageError for a picture that would be too large
 */
export function upscaleBy(image: Pixels, scale: number, upscaler: PixelUpscaler): Pixels {
  const [width, height] = [wholeCells(scaled(image.width, scale)), wholeCells(scaled(image.height, scale))];
  requireSize(width, height);
  let made = image;
  for (let run = 0; run < 3; run += 1) {
    const isThere = made.width >= width && made.height >= height;
    if (isThere && (run > 0 || scale !== 1)) break;
    const next = enlarge(made, scale, upscaler);
    const isStill = next.width === made.width && next.height === made.height;
    made = next;
    if (isStill) break;
  }
  return resize(made, width, height, 'lanczos');
}

/** A picture at a size, by an upscaler where that is larger; without one, and for the rest, by Lanczos. */
export function upscaleTo(image: Pixels, width: number, height: number, upscaler: PixelUpscaler): Pixels {
  requireSize(width, height);
  const scale = Math.max(width / image.width, height / image.height);
  const made = upscaler === 'None' || scale <= 1 ? image : upscaleBy(image, scale, upscaler);
  return resize(made, width, height, 'lanczos');
}
