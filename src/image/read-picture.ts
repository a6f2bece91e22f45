import { FailureError } from '../request/errors.js';
import type { Pixels } from './resize.js';

/** A picture's pixels, upright, and what of the file they leave out. */
export interface ReadPicture {
  /** RGB, or RGB with straight alpha where any pixel is not opaque. */
  readonly pixels: Pixels;
  /** One line each, e.g. "has 12 frames: the first is taken". */
  readonly notes: readonly string[];
}

/** Decoded, a picture takes 3 or 4 bytes a pixel, and again while it is resized. */
export const MAX_INPUT_PIXELS = 100_000_000;
/** No picture of that many pixels needs more. */
export const MAX_INPUT_BYTES = 400_000_000;
export const MAX_INPUT_SIDE = 65_535;

const FORMATS = new Set(['png', 'jpeg', 'webp', 'gif', 'avif', 'heif', 'tiff', 'bmp']);

function refuse(what: string, cause?: unknown): FailureError {
  return new FailureError('E_IMAGE_FORMAT', what, { cause });
}

function reason(cause: unknown): string {
  const text = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause);
  return text.replace(/^(Input buffer|VipsJpeg|pngload_buffer|jpegload_buffer|webpload_buffer): ?/, '');
}

async function open(bytes: Uint8Array) {
  const { default: sharp } = await import('sharp');
  // Truncated files are refused rather than filled with grey.
  const image = sharp(bytes, { limitInputPixels: MAX_INPUT_PIXELS, failOn: 'truncated', pages: 1 });
  return { image, facts: await image.metadata() };
}

/**
 * Decodes an image file's bytes: its first frame, turned as its EXIF orientation says, 8 bits a channel, in sRGB. How a
 * decoder rounds is its own affair; what comes after works on these pixels.
 * @throws FailureError E_IMAGE_FORMAT in one line, without the file's name
 */
export async function readPicture(bytes: Uint8Array): Promise<ReadPicture> {
  if (bytes.length === 0) throw refuse('is no image: it is empty');
  if (bytes.length > MAX_INPUT_BYTES) throw refuse(`has ${bytes.length} bytes, more than ${MAX_INPUT_BYTES}`);
  const { image, facts } = await open(bytes).catch((cause: unknown) => {
    throw refuse(
      /pixel limit/i.test(reason(cause)) ? tooLarge() : `is no image that can be read: ${reason(cause)}`,
      cause,
    );
  });
  const { format, width, height, pages = 1 } = facts;
  if (!FORMATS.has(format)) throw refuse(`is a picture of a kind that is not taken: ${format}`);
  if (width * height > MAX_INPUT_PIXELS || Math.max(width, height) > MAX_INPUT_SIDE) {
    throw refuse(`${tooLarge()}; it has ${width}x${height}`);
  }
  try {
    const { data, info } = await image
      .autoOrient()
      .toColourspace('srgb')
      .ensureAlpha()
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    const rgba = { data: new Uint8Array(data), width: info.width, height: info.height, channels: 4 as const };
    const notes = pages > 1 ? [`has ${pages} frames: the first is taken`] : [];
    return { pixels: isOpaque(rgba.data) ? dropAlpha(rgba) : rgba, notes };
  } catch (cause) {
    throw refuse(`cannot be decoded: ${reason(cause)}`, cause);
  }
}

function tooLarge(): string {
  return `is too large: pictures may have ${MAX_INPUT_PIXELS} pixels and sides of ${MAX_INPUT_SIDE}`;
}

function isOpaque(rgba: Uint8Array): boolean {
  for (let i = 3; i < rgba.length; i += 4) if (rgba[i] !== 255) return false;
  return true;
}

/** The colours as they stand, whatever the alpha. */
export function dropAlpha({ data, width, height, channels }: Pixels): Pixels {
  if (channels === 3) return { data, width, height, channels };
  const rgb = new Uint8Array(width * height * 3);
  for (let pixel = 0; pixel < width * height; pixel += 1) {
    for (let c = 0; c < 3; c += 1) rgb[pixel * 3 + c] = data[channels === 1 ? pixel : pixel * 4 + c] ?? 0;
  }
  return { data: rgb, width, height, channels: 3 };
}
