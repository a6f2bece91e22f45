import { FailureError } from '../request/errors.js';
import { insertPngTexts, isPng, type PngText, readPngHeader, readPngTexts } from './png-metadata.js';

export interface ImageInfo {
  /** "png", "jpeg", "webp", … */
  readonly format: string;
  readonly width: number;
  readonly height: number;
  /** The texts of a PNG; empty for other formats. */
  readonly texts: readonly PngText[];
}

/** sharp takes 100 ms to load: only when a picture is really made or read. */
async function loadSharp(): Promise<typeof import('sharp').default> {
  const { default: sharp } = await import('sharp');
  return sharp;
}

/**
 * RGB8 pixels as a PNG, losslessly, with `texts` after its header.
 * @param rgb row-major, width * height * 3 bytes; RangeError when it is not.
 * @throws FailureError E_IO when the encoder fails.
 */
export async function encodePng(
  rgb: Uint8Array,
  width: number,
  height: number,
  texts: readonly PngText[] = [],
): Promise<Buffer> {
  if (!Number.isInteger(width) || !Number.isInteger(height) || width < 1 || height < 1) {
    throw new RangeError(`a picture of ${width} x ${height} pixels`);
  }
  if (rgb.length !== width * height * 3) {
    throw new RangeError(`${rgb.length} bytes of RGB for ${width} x ${height} pixels`);
  }
  const sharp = await loadSharp();
  const picture = sharp(rgb, { raw: { width, height, channels: 3 }, limitInputPixels: false });
  let png: Buffer;
  try {
    png = await picture.png({ compressionLevel: 6, adaptiveFiltering: false, palette: false }).toBuffer();
  } catch (cause) {
    throw new FailureError('E_IO', `cannot encode a PNG of ${width} x ${height} pixels: ${reason(cause)}`, { cause });
  }
  return insertPngTexts(png, texts);
}

/**
 * Format, size and texts of an image file's bytes, without decoding its pixels.
 * @throws FailureError E_IMAGE_FORMAT when the bytes are no image, or a damaged PNG.
 */
export async function readImageInfo(bytes: Uint8Array): Promise<ImageInfo> {
  if (isPng(bytes)) return { format: 'png', ...readPngHeader(bytes), texts: readPngTexts(bytes) };
  if (bytes.length === 0) throw new FailureError('E_IMAGE_FORMAT', 'not an image: the file is empty');
  const sharp = await loadSharp();
  try {
    const { format, width, height } = await sharp(bytes).metadata();
    return { format, width, height, texts: [] };
  } catch (cause) {
    throw new FailureError('E_IMAGE_FORMAT', `not an image that can be read: ${reason(cause)}`, { cause });
  }
}

function reason(cause: unknown): string {
  return cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause);
}
