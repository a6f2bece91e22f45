import { UsageError } from '../request/errors.js';
import type { ImageFormat } from '../request/limits.js';

interface FormatInfo {
  /** Of file names, with the dot; the first is the one given to new files. */
  readonly extensions: readonly [string, ...string[]];
  /** Pixels of the longer side. */
  readonly maxSide: number;
  /** UTF-16 units of text that fit into the file. */
  readonly maxText: number;
}

const MAX_TEXT = 8 * 1024 * 1024;

const FORMATS: Readonly<Record<ImageFormat, FormatInfo>> = {
  png: { extensions: ['.png'], maxSide: 0x7fffffff, maxText: MAX_TEXT },
  // A segment of a JPEG takes 65,533 bytes: "Exif\0\0", the block's 52 and the text.
  jpeg: { extensions: ['.jpg', '.jpeg'], maxSide: 65535, maxText: 32_700 },
  webp: { extensions: ['.webp'], maxSide: 16383, maxText: MAX_TEXT },
  avif: { extensions: ['.avif'], maxSide: 16384, maxText: MAX_TEXT },
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

/** @throws UsageError when a picture of this size, or one that carries this text, cannot be written in the format */
export function requireEncodable(
  format: ImageFormat,
  picture: { readonly width: number; readonly height: number },
  text: string,
): void {
  const { maxSide, maxText } = FORMATS[format];
  const side = Math.max(picture.width, picture.height);
  if (side > maxSide) {
    const size = `${picture.width}x${picture.height}`;
    throw new UsageError(`format ${format} holds at most ${maxSide} pixels a side; ${size} is more`, 'format');
  }
  if (text.length > maxText) {
    throw new UsageError(
      `format ${format} holds at most ${maxText} characters of parameters; this prompt makes ${text.length}`,
      'format',
    );
  }
}
