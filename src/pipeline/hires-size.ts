import { UsageError } from '../request/errors.js';
import { LIMITS } from '../request/limits.js';
import type { TextToImageRequest } from '../request/txt2img.js';

interface Size {
  readonly width: number;
  readonly height: number;
}

/** Sizes of a second pass. */
export interface HiresSize {
  /** Pixels of the enlarged picture. */
  readonly resized: Size;
  /** Latent cells of what is kept of it: its middle. */
  readonly latent: Size;
}

export type HiresSizeRequest = Pick<
  TextToImageRequest,
  'width' | 'height' | 'hiresScale' | 'hiresResizeX' | 'hiresResizeY'
>;

/** Python's `a * b // c` of whole numbers that are no negative ones. */
const share = (a: number, b: number, c: number): number => Math.floor((a * b) / c);

/** The enlarged picture in pixels: by a factor, or so that it has the one side or covers both. */
export function enlargedSize({ width, height, hiresScale, hiresResizeX: x, hiresResizeY: y }: HiresSizeRequest): Size {
  if (x === 0 && y === 0) return { width: Math.trunc(width * hiresScale), height: Math.trunc(height * hiresScale) };
  const byWidth = y === 0 || (x !== 0 && width / height < x / y);
  return byWidth ? { width: x, height: share(x, height, width) } : { width: share(y, width, height), height: y };
}

/**
 * How large a second pass is, as the webui computes it; undefined where it would have the first one's size, which means
 * that there is none.
 * @param latentScale pixels along a latent cell's side
 * @throws UsageError for a size out of range
 */
export function hiresSize(request: HiresSizeRequest, latentScale: number): HiresSize | undefined {
  const resized = enlargedSize(request);
  if (resized.width === request.width && resized.height === request.height) return undefined;
  const { hiresResizeX: x, hiresResizeY: y } = request;
  const cells = (pixels: number): number => Math.floor(pixels / latentScale);
  // Only with both sides asked for is anything cut.
  const cut = (whole: number, wanted: number): number => (x === 0 || y === 0 ? 0 : cells(whole - wanted));
  const latent = {
    width: cells(resized.width) - cut(resized.width, x),
    height: cells(resized.height) - cut(resized.height, y),
  };
  const { min, max } = LIMITS.side;
  const isWithin = (side: number): boolean => side >= min && side <= max;
  const sides = [resized.width, resized.height, latent.width * latentScale, latent.height * latentScale];
  if (sides.every(isWithin)) return { resized, latent };
  throw new UsageError(
    `the second pass would be ${resized.width}x${resized.height} pixels: its sides may be ${min} to ${max}`,
    x === 0 && y === 0 ? 'hiresScale' : 'hiresResizeX',
  );
}

/** The first cell of the middle, along one side: what is cut goes half before it, the odd one behind. */
export const middleOf = (whole: number, kept: number): number => Math.floor((whole - kept) / 2);
