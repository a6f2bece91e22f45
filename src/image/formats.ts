import { UsageError } from '../request/errors.js';
import type { ImageFormat } from '../request/limits.js';
import { exifOverhead } from './exif.js';

interface FormatInfo {
  /** Of file names, with the dot; the first is the one given to new files. */
  readonly extensions: readonly [string, ...string[]];
  /** Pixels of the longer side. */
  readonly maxSide: number;
  /** Bytes of metadata that fit into the file: of a text's UTF-16 units and what is written with them. */
  readonly maxBytes: number;
}

const MAX_BYTES = 16 * 1024 * 1024;

const FORMATS: Readonly<Record<ImageFormat, FormatInfo>> = {
  png: { extensions: ['.png'], maxSide: 0x7fffffff, maxBytes: MAX_BYTES },
  // A segment of a JPEG takes 65,533 bytes: "Exif\0\0", our block, and 124 or 125 of entries that the encoder adds.
  jpeg: { extensions: ['.jpg', '.jpeg'], maxSide: 65535, maxBytes: 65_400 },
  webp: { extensions: ['.webp'], maxSide: 16383, maxBytes: MAX_BYTES },
  avif: { extensions: ['.avif'], maxSide: 16384, maxBytes: MAX_BYTES },
};

/** ".jpg" for "jpeg". */
export function extensionOf(format: ImageFormat): string {
  return FORMATS[format].extensions[0];
}

/** The format that a file name's extension stands for, whatever the case; undefined for others. */
export function formatOfExtension(extension: string): ImageFormat | undefined {
  const wanted = extension.toLowerCase();
  return (Object.keys(FORMATS) as ImageFormat[]).find((format) => FORMATS[format].extensions.includes(wanted));
}

/**
 * @param recordBytes of the record that goes with the text, where there is one
 * @throws UsageError when a picture of this size, or one that carries this, cannot be written in the format
 */
export function requireEncodable(
  format: ImageFormat,
  picture: { readonly width: number; readonly height: number },
  text: string,
  recordBytes?: number,
): void {
  const { maxSide, maxBytes } = FORMATS[format];
  const side = Math.max(picture.width, picture.height);
  if (side > maxSide) {
    const size = `${picture.width}x${picture.height}`;
    throw new UsageError(`format ${format} holds at most ${maxSide} pixels a side; ${size} is more`, 'format');
  }
  const most = (bytes: number | undefined): number => Math.floor((maxBytes - exifOverhead(bytes)) / 2);
  if (text.length > most(undefined)) {
    throw new UsageError(
      `format ${format} holds at most ${most(undefined)} characters of parameters; this prompt makes ${text.length}`,
      'format',
    );
  }
  if (recordBytes === undefined || text.length <= most(recordBytes)) return;
  throw new UsageError(
    `format ${format} does not hold this prompt's parameters and the picture's trail together: ` +
      'choose png, or leave the trail out with --no-trail',
    'format',
  );
}
