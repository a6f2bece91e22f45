import { describe, expect, it } from 'vitest';
import { decodeRgb, encodePicture, readImageInfo } from '../../../src/image/codec.js';
import { buildExif, readExifRecord, readUserComment } from '../../../src/image/exif.js';
import { requireEncodable } from '../../../src/image/formats.js';
import { insertPngRecord, readPngRecord } from '../../../src/image/png-metadata.js';
import { FORMAT_NAMES } from '../../../src/request/limits.js';

const WIDTH = 16;
const HEIGHT = 8;
const RGB = Uint8Array.from({ length: WIDTH * HEIGHT * 3 }, (_, i) => (i * 7) % 256);
const RECORD = Uint8Array.from({ length: 1001 }, (_, i) => (i * 37) % 256);
const picture = { rgb: RGB, width: WIDTH, height: HEIGHT };

describe('a record beside the parameters', () => {
  it.each(FORMAT_NAMES)('is read again from a %s', async (format) => {
    const bytes = await encodePicture(picture, { format, quality: 80, parameters: 'a fox, 狐', record: RECORD });
    const info = await readImageInfo(bytes);
    expect(Buffer.from(info.record ?? []).equals(RECORD)).toBe(true);
    expect(info.texts).toEqual([{ keyword: 'parameters', text: 'a fox, 狐' }]);
    const { data, width, height } = await decodeRgb(bytes, 1000);
    expect([data.length, width, height]).toEqual([RGB.length, WIDTH, HEIGHT]);
  });

  it('is in no file that was written without', async () => {
    for (const format of FORMAT_NAMES) {
      const bytes = await encodePicture(picture, { format, quality: 80, parameters: 'a fox' });
      expect((await readImageInfo(bytes)).record).toBeUndefined();
    }
  });

  it('of a PNG is a chunk between its parameters and its pixels, which programs may copy', async () => {
    const png = await encodePicture(picture, { format: 'png', quality: 80, parameters: 'x', record: RECORD });
    const types = [...png.toString('latin1').matchAll(/IHDR|tEXt|sdGn|IDAT|IEND/g)].map(([type]) => type);
    expect(types).toEqual(['IHDR', 'tEXt', 'sdGn', 'IDAT', 'IEND']);
    // Bit 5 of each letter: ancillary, private, reserved, safe to copy (PNG specification, 5.4).
    expect([...'sdGn'].map((letter) => (letter.charCodeAt(0) >> 5) & 1)).toEqual([1, 1, 0, 1]);
  });

  it('of a PNG is the first where a stranger added more', async () => {
    const png = await encodePicture(picture, { format: 'png', quality: 80, parameters: 'x', record: RECORD });
    expect([...(readPngRecord(insertPngRecord(png, Uint8Array.of(7))) ?? [])]).toEqual([7]);
  });

  it('in EXIF leaves the text as it is, and is nothing else than ours', () => {
    const block = buildExif('abc', RECORD);
    expect(readUserComment(block)).toBe('abc');
    expect(Buffer.from(readExifRecord(block) ?? []).equals(RECORD)).toBe(true);
    expect(readExifRecord(buildExif('abc'))).toBeUndefined();
    const camera = Buffer.from(block);
    camera.write('Nikon', camera.indexOf('sdGn\0'), 'latin1');
    expect(readExifRecord(camera)).toBeUndefined();
    for (let end = 0; end < block.length; end += 1) expect(readExifRecord(block.subarray(0, end))).toBeUndefined();
  });
});

describe('what a JPEG holds', () => {
  const check = (text: string, record?: Uint8Array) => () => requireEncodable('jpeg', picture, text, record?.length);
  const write = (text: string, record?: Uint8Array) =>
    encodePicture(picture, { format: 'jpeg', quality: 80, parameters: text, record }).then(readImageInfo);

  it('is really in the file up to the limit', async () => {
    const text = 'x'.repeat(32_674);
    expect(check(text)).not.toThrow();
    expect((await write(text)).texts[0]?.text).toBe(text);
    expect(check(`${text}x`)).toThrow(
      'format jpeg holds at most 32674 characters of parameters; this prompt makes 32675',
    );
  });

  it('is less text where a record takes its part', async () => {
    const text = 'x'.repeat(32_165);
    expect(check(text, RECORD)).not.toThrow();
    const { texts, record } = await write(text, RECORD);
    expect([texts[0]?.text === text, record?.length]).toEqual([true, RECORD.length]);
    expect(check(`${text}x`, RECORD)).toThrow('leave the trail out with --no-trail');
  });
});
