import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readGifComment } from '../../../src/image/gif-comment.js';

const HEAD = Buffer.concat([Buffer.from('GIF89a'), Buffer.from([1, 0, 1, 0, 0x80, 0, 0]), Buffer.alloc(6)]);
const IMAGE = Buffer.from([0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0x80, ...Array(6).fill(7), 2, 2, 0x44, 1, 0]);
const COMMENT = Buffer.from([0x21, 0xfe, 3, 0x61, 0xc3, 0xa9, 1, 0x62, 0]);
const END = Buffer.from([0x3b]);

describe('readGifComment', () => {
  it('finds the first comment, before the picture or after it', () => {
    expect(readGifComment(Buffer.concat([HEAD, COMMENT, IMAGE, END]))).toBe('aéb');
    const control = Buffer.from([0x21, 0xf9, 4, 0, 0, 0, 0, 0]);
    expect(readGifComment(Buffer.concat([HEAD, control, IMAGE, COMMENT, COMMENT, END]))).toBe('aéb');
  });

  it('finds none where there is none, and reads nothing outside', () => {
    const whole = Buffer.concat([HEAD, IMAGE, END]);
    expect(readGifComment(whole)).toBeUndefined();
    expect(readGifComment(Buffer.from('no GIF'))).toBeUndefined();
    for (let end = 0; end < whole.length; end += 1) expect(readGifComment(whole.subarray(0, end))).toBeUndefined();
    const sound = Buffer.concat([HEAD, IMAGE, COMMENT, END]);
    fc.assert(
      fc.property(fc.nat(sound.length - 1), fc.nat(255), (at, byte) => {
        const gif = Buffer.from(sound);
        gif[at] = byte;
        readGifComment(gif);
      }),
      { numRuns: 2000 },
    );
  });
});
