import { FailureError } from '../request/errors.js';
import type { ImageFormat } from '../request/limits.js';
import { buildExif, readExifRecord, readUserComment } from './exif.js';
import { readGifComment } from './gif-comment.js';
import {
  insertPngExif,
  insertPngRecord,
  insertPngTexts,
  isPng,
  type PngText,
  readPngExif,
  readPngHeader,
  readPngRecord,
  readPngTexts,
} from './png-metadata.js';

export interface ImageInfo {
  /** "png", "jpeg", "webp", … */
  readonly format: string;
  readonly width: number;
  readonly height: number;
  /** A PNG's texts; the EXIF comment (a GIF's own) as `parameters`, where it has one and no such text. */
  readonly texts: readonly PngText[];
  /** What `encodePicture` put beside them; unread. */
  readonly record?: Uint8Array | undefined;
}

/** sharp takes 100 ms to load: only when a picture is really made or read. */
async function loadSharp(): Promise<typeof import('sharp').default> {
  const { default: sharp } = await import('sharp');
  return sharp;
}

/**
 * RGB8 pixels, or RGBA8, as a PNG, losslessly, with `texts` after its header.
 * @param rgb row-major, width * height * 3 bytes, or * 4; RangeError when it is not.
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
  const channels = rgb.length / (width * height);
  if (channels !== 3 && channels !== 4) {
    throw new RangeError(`${rgb.length} bytes of RGB for ${width} x ${height} pixels`);
  }
  const sharp = await loadSharp();
  const picture = sharp(rgb, { raw: { width, height, channels }, limitInputPixels: false });
  let png: Buffer;
  try {
    png = await picture.png({ compressionLevel: 6, adaptiveFiltering: false, palette: false }).toBuffer();
  } catch (cause) {
    throw new FailureError('E_IO', `cannot encode a PNG of ${width} x ${height} pixels: ${reason(cause)}`, { cause });
  }
  return insertPngTexts(png, texts);
}

/**
 * RGB8 pixels as a file of `format` that carries `parameters`: a PNG's text, the others' EXIF comment.
 * @param options.quality 1 … 100, of the formats that lose
 * @param options.record bytes for a PNG's chunk of our own, the others' EXIF maker note
 * @throws as `encodePng`
 */
export async function encodePicture(
  picture: { readonly rgb: Uint8Array; readonly width: number; readonly height: number },
  options: {
    readonly format: ImageFormat;
    readonly quality: number;
    readonly parameters: string;
    readonly record?: Uint8Array | undefined;
    /** More texts of a PNG. */
    readonly texts?: readonly PngText[] | undefined;
  },
): Promise<Buffer> {
  const { rgb, width, height } = picture;
  const { format, quality, parameters, record, texts = [] } = options;
  if (format === 'png') {
    const png = await encodePng(rgb, width, height);
    const recorded = record === undefined ? png : insertPngRecord(png, record);
    const own = parameters === '' ? [] : [{ keyword: 'parameters', text: parameters }];
    return insertPngTexts(recorded, [...own, ...texts]);
  }
  // sharp itself would reduce the comment to ASCII: it keeps a block that is there.
  const carrier = insertPngExif(await encodePng(rgb, width, height), buildExif(parameters, record));
  const sharp = await loadSharp();
  try {
    return await sharp(carrier, { limitInputPixels: false }).keepExif()[format]({ quality }).toBuffer();
  } catch (cause) {
    const what = `a picture of ${width} x ${height} pixels as ${format}`;
    throw new FailureError('E_IO', `cannot encode ${what}: ${reason(cause)}`, { cause });
  }
}

/**
 * An image file's picture as a PNG of at most `side` pixels a side.
 * @throws FailureError E_IMAGE_FORMAT when it cannot be decoded
 */
export async function thumbnail(bytes: Uint8Array, side: number): Promise<Buffer> {
  const sharp = await loadSharp();
  try {
    return await sharp(bytes)
      .resize({ width: side, height: side, fit: 'inside', withoutEnlargement: true })
      .png()
      .toBuffer();
  } catch (cause) {
    throw new FailureError('E_IMAGE_FORMAT', `the picture cannot be shown: ${reason(cause)}`, { cause });
  }
}

/** A small picture drawn larger and smooth, as a PNG whose longer side has `side` pixels. */
export async function resizePreview(
  picture: { readonly data: Uint8Array; readonly width: number; readonly height: number },
  side: number,
): Promise<Buffer> {
  const { data, width, height } = picture;
  const sharp = await loadSharp();
  return sharp(data, { raw: { width, height, channels: 3 } })
    .resize({ width: side, height: side, fit: 'inside', kernel: 'cubic' })
    .png({ compressionLevel: 3 })
    .toBuffer();
}

/**
 * The RGB8 pixels of an image file, row-major.
 * @throws FailureError E_IMAGE_FORMAT when it cannot be decoded, is animated or has more than `maxPixels`
 */
export async function decodeRgb(
  bytes: Uint8Array,
  maxPixels: number,
): Promise<{ readonly data: Buffer; readonly width: number; readonly height: number }> {
  const sharp = await loadSharp();
  try {
    const picture = sharp(bytes, { limitInputPixels: maxPixels }).removeAlpha().toColourspace('srgb');
    const { data, info } = await picture.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
    return { data, width: info.width, height: info.height };
  } catch (cause) {
    throw new FailureError('E_IMAGE_FORMAT', `the picture cannot be decoded: ${reason(cause)}`, { cause });
  }
}

/**
 * Format, size, texts and record of an image file's bytes, without decoding its pixels.
 * @throws FailureError E_IMAGE_FORMAT when the bytes are no image, or a damaged PNG.
 */
export async function readImageInfo(bytes: Uint8Array): Promise<ImageInfo> {
  if (isPng(bytes)) {
    return { format: 'png', ...readPngHeader(bytes), texts: pngTexts(bytes), record: readPngRecord(bytes) };
  }
  if (bytes.length === 0) throw new FailureError('E_IMAGE_FORMAT', 'not an image: the file is empty');
  const sharp = await loadSharp();
  try {
    const { format, width, height, exif, compression } = await sharp(bytes).metadata();
    const text = format === 'gif' ? readGifComment(bytes) : exif && readUserComment(exif);
    return {
      format: format === 'heif' && compression === 'av1' ? 'avif' : format,
      width,
      height,
      texts: asParameters(text),
      record: exif && readExifRecord(exif),
    };
  } catch (cause) {
    throw new FailureError('E_IMAGE_FORMAT', `not an image that can be read: ${reason(cause)}`, { cause });
  }
}

function asParameters(text: string | undefined): PngText[] {
  return text === undefined || text === '' ? [] : [{ keyword: 'parameters', text }];
}

/** A PNG's own texts; other programs, which turned another format into a PNG, left the parameters in its EXIF. */
function pngTexts(bytes: Uint8Array): PngText[] {
  const texts = readPngTexts(bytes);
  if (texts.some(({ keyword }) => keyword === 'parameters')) return texts;
  const exif = readPngExif(bytes);
  return exif === undefined ? texts : [...texts, ...asParameters(readUserComment(exif))];
}

function reason(cause: unknown): string {
  return cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause);
}
