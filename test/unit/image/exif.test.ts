import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodePicture, readImageInfo } from '../../../src/image/codec.js';
import { buildExif, readUserComment } from '../../../src/image/exif.js';

const TEXT = 'naïve fox, 狐 🦊\nSteps: 2, Seed: 3, Size: 16x8';

describe('EXIF', () => {
  it("has piexif's layout: 44 bytes of big-endian TIFF, the encoding's name, UTF-16BE", () => {
    const head = '4d4d002a00000008000187690004000000010000001a00000000000192860007';
    const block = buildExif('é');
    expect(block.toString('hex')).toBe(`${head}0000000a0000002c00000000554e49434f44450000e9`);
  });

  it('returns any text that was built', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme-ascii' }), (text) => {
        expect(readUserComment(buildExif(text))).toBe(text);
      }),
    );
    expect(readUserComment(Buffer.concat([Buffer.from('Exif\0\0'), buildExif(TEXT)]))).toBe(TEXT);
  });

  it('reads little-endian comments and ASCII ones', () => {
    const little = Buffer.concat([buildExif('abc').subarray(0, 52), Buffer.from('abc', 'utf16le')]);
    expect(readUserComment(little)).toBe('abc');
    const ascii = buildExif('abc');
    ascii.write('ASCII\0\0\0', 44, 'latin1');
    ascii.write('a plan', 52, 'latin1');
    expect(readUserComment(ascii)).toBe('a plan');
  });

  it('reads nothing outside damaged blocks', () => {
    const sound = buildExif('abcdefgh');
    for (let end = 0; end < sound.length; end += 1) expect(readUserComment(sound.subarray(0, end))).toBeUndefined();
    for (const at of [4, 18, 32, 36]) {
      for (const value of [0, 0x7fffffff, 0xffffffff]) {
        const block = Buffer.from(sound);
        block.writeUInt32BE(value, at);
        expect(readUserComment(block), `${value} at ${at}`).toBeUndefined();
      }
    }
    fc.assert(
      fc.property(fc.nat(sound.length - 1), fc.nat(255), (at, byte) => {
        const block = Buffer.from(sound);
        block[at] = byte;
        readUserComment(block);
      }),
      { numRuns: 2000 },
    );
  });

  it.each(['png', 'jpeg', 'webp', 'avif'] as const)('%s carries the parameters', async (format) => {
    const rgb = new Uint8Array(16 * 8 * 3).fill(90);
    const file = await encodePicture({ rgb, width: 16, height: 8 }, { format, quality: 80, parameters: TEXT });
    expect(await readImageInfo(file)).toEqual({
      format,
      width: 16,
      height: 8,
      texts: [{ keyword: 'parameters', text: TEXT }],
    });
  });
});
