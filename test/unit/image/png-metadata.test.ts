import { crc32, deflateSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  insertPngTexts,
  isPng,
  MAX_PNG_TEXT_BYTES,
  type PngText,
  readPngHeader,
  readPngTexts,
} from '../../../src/image/png-metadata.js';
import { FailureError } from '../../../src/request/errors.js';

const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');

function chunk(type: string, data: Buffer, length = data.length): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(length);
  const tail = Buffer.alloc(4);
  tail.writeUInt32BE(crc32(body));
  return Buffer.concat([head, body, tail]);
}

function header(width = 3, height = 2): Buffer {
  const data = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 8, 2, 0, 0, 0]);
  data.writeUInt32BE(width, 0);
  data.writeUInt32BE(height, 4);
  return chunk('IHDR', data);
}

const END = chunk('IEND', Buffer.alloc(0));
const png = (...chunks: Buffer[]): Buffer => Buffer.concat([SIGNATURE, header(), ...chunks, END]);
const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');

function failure(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (!(error instanceof FailureError)) throw error;
    expect(error.code).toBe('E_IMAGE_FORMAT');
    expect(error.message).toMatch(/^the PNG cannot be read: [^\n]*$/);
    return error.message;
  }
  throw new Error('nothing was thrown');
}

describe('insertPngTexts', () => {
  it('puts tEXt after the header, byte by byte', () => {
    const made = insertPngTexts(png(), [{ keyword: 'parameters', text: 'é\n, a' }]);
    const expected = Buffer.concat([SIGNATURE, header(), chunk('tEXt', latin1('parameters\0\xe9\n, a')), END]);
    expect(made.equals(expected)).toBe(true);
  });

  it('writes iTXt where a character is beyond Latin-1', () => {
    const made = insertPngTexts(png(), [{ keyword: 'parameters', text: 'é 東' }]);
    const data = Buffer.concat([latin1('parameters\0\0\0\0\0'), Buffer.from('é 東', 'utf8')]);
    expect(made.equals(png(chunk('iTXt', data)))).toBe(true);
  });

  it('keeps the rest and the order', () => {
    const before = png(chunk('tEXt', latin1('a\0b')), chunk('IDAT', Buffer.from([1, 2, 3])));
    const texts = [
      { keyword: 'x', text: '1' },
      { keyword: 'y', text: '😀' },
    ];
    const after = insertPngTexts(before, texts);
    expect(readPngTexts(after)).toEqual([...texts, { keyword: 'a', text: 'b' }]);
    expect(after.subarray(-before.length + 33).equals(before.subarray(33))).toBe(true);
    expect(insertPngTexts(before, []).equals(before)).toBe(true);
  });

  it('gives any text back', () => {
    const keyword = fc.string({ unit: fc.constantFrom(...'aZ 09é~'), minLength: 1, maxLength: 79 });
    const text = fc.string({ unit: 'grapheme', maxLength: 200 });
    fc.assert(
      fc.property(fc.array(fc.record<PngText>({ keyword, text }), { maxLength: 4 }), (texts) => {
        expect(readPngTexts(insertPngTexts(png(), texts))).toEqual(texts);
      }),
    );
  });

  it.each(['', 'x'.repeat(80), 'a\0b', '東'])('refuses the keyword %j', (keyword) => {
    expect(() => insertPngTexts(png(), [{ keyword, text: '' }])).toThrow(RangeError);
  });

  it('refuses what is no PNG', () => {
    expect(failure(() => insertPngTexts(Buffer.from('GIF89a'), []))).toContain('does not start as a PNG');
  });
});

describe('readPngTexts', () => {
  it('reads tEXt, zTXt and both kinds of iTXt', () => {
    const file = png(
      chunk('tEXt', latin1('a\0caf\xe9')),
      chunk('zTXt', Buffer.concat([latin1('b\0\0'), deflateSync(latin1('caf\xe9'))])),
      chunk('IDAT', Buffer.alloc(5)),
      chunk('iTXt', Buffer.concat([latin1('c\0\0\0en\0\xc3\xa9\0'), Buffer.from('東')])),
      chunk('iTXt', Buffer.concat([latin1('d\0\x01\0\0\0'), deflateSync(Buffer.from('😀'))])),
    );
    expect(readPngTexts(file)).toEqual([
      { keyword: 'a', text: 'café' },
      { keyword: 'b', text: 'café' },
      { keyword: 'c', text: '東' },
      { keyword: 'd', text: '😀' },
    ]);
    expect(readPngHeader(file)).toEqual({ width: 3, height: 2 });
  });

  it('reads a view into a larger buffer, and nothing after the end', () => {
    const file = png(chunk('tEXt', latin1('a\0b')));
    const larger = Buffer.concat([Buffer.alloc(7), file, chunk('tEXt', latin1('c\0d')), latin1('rubbish')]);
    const view = new Uint8Array(larger.buffer, larger.byteOffset + 7, larger.length - 7);
    expect(isPng(view)).toBe(true);
    expect(readPngTexts(view)).toEqual([{ keyword: 'a', text: 'b' }]);
  });

  const flipped = png(chunk('tEXt', latin1('a\0b')));
  flipped.writeUInt8(flipped.readUInt8(43) ^ 1, 43);
  const bomb = deflateSync(Buffer.alloc(MAX_PNG_TEXT_BYTES + 1));
  const half = deflateSync(Buffer.alloc(MAX_PNG_TEXT_BYTES / 2 + 1));
  it.each<[string, Buffer, string]>([
    ['nothing', Buffer.alloc(0), 'does not start as a PNG'],
    ['a signature alone', SIGNATURE, 'cut off at byte 8'],
    ['no end', Buffer.concat([SIGNATURE, header()]), 'cut off at byte 33'],
    ['a cut chunk', png(chunk('IDAT', Buffer.alloc(99))).subarray(0, 60), 'claims 99 bytes'],
    ['a huge length', png(chunk('tEXt', latin1('a\0b'), 0xffffffff)), 'claims 4294967295 bytes'],
    ['a length past the end', png(chunk('tEXt', latin1('a\0b'), 100)), 'claims 100 bytes'],
    ['a flipped bit', flipped, 'the checksum of its tEXt chunk at byte 33 is wrong'],
    ['a type of no letters', png(chunk('\0\0\0\0', Buffer.alloc(0))), 'no chunk at byte 33'],
    ['another first chunk', Buffer.concat([SIGNATURE, END]), 'does not start with a header'],
    [
      'a short header',
      Buffer.concat([SIGNATURE, chunk('IHDR', Buffer.alloc(12)), END]),
      'does not start with a header',
    ],
    ['no width', Buffer.concat([SIGNATURE, header(0, 4), END]), 'impossible side of 0'],
    ['a height of 2^32 - 1', Buffer.concat([SIGNATURE, header(4, 0xffffffff), END]), 'impossible side of 4294967295'],
    ['no keyword', png(chunk('tEXt', latin1('\0b'))), 'a tEXt chunk has no keyword'],
    ['no end of a keyword', png(chunk('zTXt', Buffer.alloc(100, 65))), 'a zTXt chunk has no keyword'],
    ['an unknown compression', png(chunk('zTXt', latin1('a\0\x01bc'))), 'compressed in an unknown way'],
    ['damaged compression', png(chunk('zTXt', latin1('a\0\0bc'))), 'damaged'],
    ['an iTXt cut short', png(chunk('iTXt', latin1('a\0\0'))), 'an iTXt chunk is malformed'],
    ['an iTXt of an unknown flag', png(chunk('iTXt', latin1('a\0\x02\0\0\0b'))), 'an iTXt chunk is malformed'],
    ['an iTXt of an unknown method', png(chunk('iTXt', latin1('a\0\x01\x01\0\0b'))), 'an iTXt chunk is malformed'],
    ['an iTXt that is not UTF-8', png(chunk('iTXt', latin1('a\0\0\0\0\0\xff'))), 'not UTF-8'],
    ['a bomb', png(chunk('zTXt', Buffer.concat([latin1('a\0\0'), bomb]))), 'larger than 16777216 bytes'],
    [
      'a bomb in iTXt',
      png(chunk('iTXt', Buffer.concat([latin1('a\0\x01\0\0\0'), bomb]))),
      'larger than 16777216 bytes',
    ],
    [
      'two halves of a bomb',
      png(...['a', 'b'].map((key) => chunk('zTXt', Buffer.concat([latin1(`${key}\0\0`), half])))),
      'larger than 16777216 bytes',
    ],
    ['one plain text too large', png(chunk('tEXt', Buffer.alloc(MAX_PNG_TEXT_BYTES + 1, 'a\0b'))), 'take more than'],
    [
      'too many texts',
      png(...Array.from({ length: 1025 }, () => chunk('tEXt', latin1('a\0b')))),
      'more than 1024 texts',
    ],
  ])('refuses %s', (_, file, message) => {
    expect(failure(() => readPngTexts(file))).toContain(message);
  });

  it('refuses a header without sense before anything else', () => {
    expect(failure(() => readPngHeader(SIGNATURE))).toContain('cut off');
  });

  it('refuses a file of a million chunks', () => {
    const empty = chunk('teSt', Buffer.alloc(0));
    const many = Buffer.alloc(empty.length * 1_000_001, empty);
    expect(failure(() => readPngTexts(Buffer.concat([SIGNATURE, header(), many])))).toContain(
      'more than 1000000 chunks',
    );
  });

  it('throws nothing but its own error for damaged files', () => {
    const sound = insertPngTexts(png(chunk('IDAT', Buffer.alloc(9))), [
      { keyword: 'parameters', text: 'ab' },
      { keyword: 'x', text: '東' },
    ]);
    fc.assert(
      fc.property(fc.nat(sound.length), fc.nat(sound.length - 1), fc.nat(255), (length, index, byte) => {
        const damaged = Buffer.from(sound);
        damaged.writeUInt8(byte, index);
        for (const file of [sound.subarray(0, length), damaged]) {
          if (file.equals(sound)) expect(readPngTexts(file)).toHaveLength(2);
          else failure(() => readPngTexts(file));
        }
      }),
      { numRuns: 500 },
    );
  });
});
