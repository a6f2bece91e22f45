import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { encodePng, readImageInfo } from '../../../src/image/codec.js';
import { FailureError } from '../../../src/request/errors.js';

function noise(width: number, height: number): Uint8Array {
  let state = 1;
  return Uint8Array.from({ length: width * height * 3 }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
}

describe('encodePng', () => {
  it.each<[string, Uint8Array, number, number]>([
    ['noise', noise(33, 17), 33, 17],
    ['a grey picture', new Uint8Array(64 * 8 * 3).fill(77), 64, 8],
    ['two colours', Uint8Array.from({ length: 8 * 8 * 3 }, (_, i) => (i % 3 === 0 ? 255 : 0)), 8, 8],
    ['one pixel', Uint8Array.of(1, 2, 3), 1, 1],
  ])('keeps every byte of %s', async (_, rgb, width, height) => {
    const png = await encodePng(rgb, width, height, [{ keyword: 'parameters', text: 'é 東, x: 1' }]);
    const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
    expect(info).toMatchObject({ width, height, channels: 3 });
    expect(data.equals(rgb)).toBe(true);
    expect(await readImageInfo(png)).toEqual({
      format: 'png',
      width,
      height,
      texts: [{ keyword: 'parameters', text: 'é 東, x: 1' }],
    });
  });

  it('writes no text unless told', async () => {
    expect((await readImageInfo(await encodePng(noise(8, 8), 8, 8))).texts).toEqual([]);
  });

  it('refuses pixels that do not fit the size', async () => {
    await expect(encodePng(new Uint8Array(11), 2, 2)).rejects.toThrow('11 bytes of RGB for 2 x 2 pixels');
    await expect(encodePng(new Uint8Array(0), 0, 2)).rejects.toThrow(RangeError);
    await expect(encodePng(new Uint8Array(3), 1.5, 2)).rejects.toThrow(RangeError);
  });
});

describe('readImageInfo', () => {
  it('reads the size of other formats', async () => {
    const jpeg = await sharp(noise(16, 8), { raw: { width: 16, height: 8, channels: 3 } })
      .jpeg()
      .toBuffer();
    expect(await readImageInfo(jpeg)).toEqual({ format: 'jpeg', width: 16, height: 8, texts: [] });
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['text', Buffer.from('a cat')],
    ['the start of a PNG', Buffer.from('\x89PNG\r\n\x1a\n', 'latin1')],
  ])('refuses %s', async (_, bytes) => {
    const refused = readImageInfo(bytes);
    await expect(refused).rejects.toBeInstanceOf(FailureError);
    await expect(refused).rejects.toMatchObject({ code: 'E_IMAGE_FORMAT', message: expect.not.stringContaining('\n') });
  });
});
