import { crc32, inflateSync } from 'node:zlib';
import { FailureError } from '../request/errors.js';

/** One text of a PNG. */
export interface PngText {
  /** 1 … 79 Latin-1 characters, e.g. "parameters". */
  readonly keyword: string;
  readonly text: string;
}

export interface PngHeader {
  readonly width: number;
  readonly height: number;
}

interface PngChunk {
  readonly type: string;
  readonly data: Buffer;
  /** Index of the byte after the chunk. */
  readonly end: number;
}

/** Texts of one file may take this many bytes together, inflated. */
export const MAX_PNG_TEXT_BYTES = 16 * 1024 * 1024;
/** More chunks than any writer makes: a 16k picture in IDATs of 8 kB has 100,000. */
const MAX_CHUNKS = 1_000_000;
const MAX_TEXTS = 1024;

const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
const MAX_LENGTH = 0x7fffffff;

/** True when the bytes start as a PNG does. */
export function isPng(bytes: Uint8Array): boolean {
  return asBuffer(bytes).subarray(0, SIGNATURE.length).equals(SIGNATURE);
}

/** Size in pixels. @throws FailureError E_IMAGE_FORMAT when the file does not start with a sound header. */
export function readPngHeader(png: Uint8Array): PngHeader {
  const first = chunks(png).next().value;
  if (first === undefined) throw broken('it has no header');
  return { width: first.data.readUInt32BE(0), height: first.data.readUInt32BE(4) };
}

/**
 * All texts (tEXt, zTXt, iTXt) in the order of the file, wherever they stand; every chunk's checksum is verified.
 * @throws FailureError E_IMAGE_FORMAT for a file that is truncated, damaged or has more text than MAX_PNG_TEXT_BYTES.
 */
export function readPngTexts(png: Uint8Array): PngText[] {
  const texts: PngText[] = [];
  let budget = MAX_PNG_TEXT_BYTES;
  for (const { type, data } of chunks(png)) {
    const read = READERS[type];
    if (read === undefined) continue;
    const { bytes, keyword, text } = read(data, budget);
    budget -= bytes;
    if (budget < 0) throw broken(`its texts take more than ${MAX_PNG_TEXT_BYTES} bytes`);
    texts.push({ keyword, text });
    if (texts.length > MAX_TEXTS) throw broken(`it has more than ${MAX_TEXTS} texts`);
  }
  return texts;
}

/** The first EXIF block, where there is one; checks as `readPngTexts`. */
export function readPngExif(png: Uint8Array): Uint8Array | undefined {
  return firstChunk(png, 'eXIf');
}

/**
 * Our own chunk: ancillary, private and safe to copy, so that programs that do not know it keep it as they keep the
 * texts, whose company it is; whether the pixels are still those it tells of, it says itself.
 */
const RECORD = 'sdGn';

/** The first of our chunks, where there is one; checks as `readPngTexts`. */
export function readPngRecord(png: Uint8Array): Uint8Array | undefined {
  return firstChunk(png, RECORD);
}

function firstChunk(png: Uint8Array, wanted: string): Uint8Array | undefined {
  for (const { type, data } of chunks(png)) if (type === wanted) return data;
  return undefined;
}

/**
 * The PNG with `texts` put right after its header, tEXt where all characters are Latin-1, else iTXt: byte for byte what
 * Python's PIL writes. Nothing else changes; texts that are there stay.
 * @throws FailureError E_IMAGE_FORMAT when the bytes are no PNG; RangeError for an impossible keyword or text.
 */
export function insertPngTexts(png: Uint8Array, texts: readonly PngText[]): Buffer {
  const header = chunks(png).next().value;
  if (header === undefined) throw broken('it has no header');
  const bytes = asBuffer(png);
  return Buffer.concat([bytes.subarray(0, header.end), ...texts.map(textChunk), bytes.subarray(header.end)]);
}

/** The PNG with an EXIF block right after its header. @throws FailureError E_IMAGE_FORMAT when the bytes are no PNG */
export function insertPngExif(png: Uint8Array, exif: Uint8Array): Buffer {
  return insertChunk(png, 'eXIf', exif);
}

/** The PNG with a chunk of our own right after its header. @throws FailureError E_IMAGE_FORMAT when the bytes are no PNG */
export function insertPngRecord(png: Uint8Array, record: Uint8Array): Buffer {
  return insertChunk(png, RECORD, record);
}

function insertChunk(png: Uint8Array, type: string, data: Uint8Array): Buffer {
  const header = chunks(png).next().value;
  if (header === undefined) throw broken('it has no header');
  const bytes = asBuffer(png);
  return Buffer.concat([bytes.subarray(0, header.end), chunk(type, [asBuffer(data)]), bytes.subarray(header.end)]);
}

/** Yields each chunk up to IEND, the first of which is a sound IHDR; lengths and checksums are verified on the way. */
function* chunks(png: Uint8Array): Generator<PngChunk, undefined> {
  const bytes = asBuffer(png);
  if (!isPng(bytes)) throw broken('it does not start as a PNG');
  let start = SIGNATURE.length;
  for (let count = 0; count < MAX_CHUNKS; count += 1) {
    if (bytes.length - start < 12) throw broken(`it is cut off at byte ${bytes.length}`);
    const length = bytes.readUInt32BE(start);
    const type = bytes.toString('latin1', start + 4, start + 8);
    if (!/^[A-Za-z]{4}$/.test(type)) throw broken(`it has no chunk at byte ${start}`);
    if (length > MAX_LENGTH || length > bytes.length - start - 12) {
      throw broken(`its ${type} chunk at byte ${start} claims ${length} bytes, more than the file has`);
    }
    const end = start + 12 + length;
    if (crc32(bytes.subarray(start + 4, end - 4)) !== bytes.readUInt32BE(end - 4)) {
      throw broken(`the checksum of its ${type} chunk at byte ${start} is wrong`);
    }
    const data = bytes.subarray(start + 8, end - 4);
    if (count === 0) checkHeader(type, data);
    yield { type, data, end };
    if (type === 'IEND') return undefined;
    start = end;
  }
  throw broken(`it has more than ${MAX_CHUNKS} chunks`);
}

function checkHeader(type: string, data: Buffer): void {
  if (type !== 'IHDR' || data.length !== 13) throw broken('it does not start with a header');
  for (const side of [data.readUInt32BE(0), data.readUInt32BE(4)]) {
    if (side === 0 || side > MAX_LENGTH) throw broken(`its header states an impossible side of ${side}`);
  }
}

interface ReadText extends PngText {
  /** What it takes out of the budget. */
  readonly bytes: number;
}

const READERS: Readonly<Record<string, (data: Buffer, budget: number) => ReadText>> = {
  tEXt: (data) => {
    const { keyword, rest } = splitKeyword(data, 'tEXt');
    return { keyword, text: rest.toString('latin1'), bytes: data.length };
  },
  zTXt: (data, budget) => {
    const { keyword, rest } = splitKeyword(data, 'zTXt');
    if (rest[0] !== 0) throw broken('a zTXt chunk is compressed in an unknown way');
    const text = inflate(rest.subarray(1), budget);
    return { keyword, text: text.toString('latin1'), bytes: text.length };
  },
  iTXt: (data, budget) => {
    const { keyword, rest } = splitKeyword(data, 'iTXt');
    const [flag, method] = rest;
    const language = rest.indexOf(0, 2);
    const translated = language < 0 ? -1 : rest.indexOf(0, language + 1);
    if (translated < 0 || (flag !== 0 && flag !== 1) || (flag === 1 && method !== 0)) {
      throw broken('an iTXt chunk is malformed');
    }
    const body = rest.subarray(translated + 1);
    const content = flag === 1 ? inflate(body, budget) : body;
    return { keyword, text: decodeUtf8(content), bytes: content.length };
  },
};

function splitKeyword(data: Buffer, type: string): { keyword: string; rest: Buffer } {
  const zero = data.indexOf(0);
  if (zero < 1 || zero > 79) throw broken(`a ${type} chunk has no keyword`);
  return { keyword: data.toString('latin1', 0, zero), rest: data.subarray(zero + 1) };
}

function inflate(data: Buffer, budget: number): Buffer {
  try {
    return inflateSync(data, { maxOutputLength: Math.max(budget, 1) });
  } catch (cause) {
    throw broken(`a compressed text is damaged, or larger than ${MAX_PNG_TEXT_BYTES} bytes with the others`, cause);
  }
}

function decodeUtf8(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw broken('an iTXt chunk is not UTF-8', cause);
  }
}

function textChunk({ keyword, text }: PngText): Buffer {
  if (!/^[\x20-\x7e\xa1-\xff]{1,79}$/.test(keyword)) {
    throw new RangeError(`a PNG keyword has 1 to 79 printable Latin-1 characters, unlike ${JSON.stringify(keyword)}`);
  }
  const isLatin1 = Buffer.from(text, 'latin1').toString('latin1') === text;
  const key = Buffer.from(`${keyword}\0`, 'latin1');
  // Flag and method 0 (not compressed), no language, no translated keyword.
  return isLatin1
    ? chunk('tEXt', [key, Buffer.from(text, 'latin1')])
    : chunk('iTXt', [key, Buffer.alloc(4), Buffer.from(text, 'utf8')]);
}

function chunk(type: string, parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), ...parts]);
  const framed = Buffer.alloc(body.length + 8);
  framed.writeUInt32BE(body.length - 4, 0);
  body.copy(framed, 4);
  framed.writeUInt32BE(crc32(body), body.length + 4);
  return framed;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function broken(why: string, cause?: unknown): FailureError {
  return new FailureError('E_IMAGE_FORMAT', `the PNG cannot be read: ${why}`, { cause });
}
