import { encodePng } from '../../src/image/codec.js';
import type { Pixels } from '../../src/image/resize.js';

/** A picture by a function of place and channel. */
export function draw(
  width: number,
  height: number,
  level: (x: number, y: number, channel: number) => number,
  channels: 1 | 3 | 4 = 3,
): Pixels {
  const data = Uint8Array.from({ length: width * height * channels }, (_, i) => {
    const pixel = Math.floor(i / channels);
    return level(pixel % width, Math.floor(pixel / width), i % channels);
  });
  return { data, width, height, channels };
}

/** Soft colours that differ everywhere. */
export const scene = (width: number, height: number): Pixels =>
  draw(width, height, (x, y, c) => (x * 3 + y * 2 + c * 60 + ((x >> 3) + (y >> 3)) * 11) % 256);

/** White inside a box, black outside. */
export const boxMask = (width: number, height: number, [left, top, right, bottom]: readonly number[]): Pixels =>
  draw(width, height, (x, y) =>
    x >= (left ?? 0) && x < (right ?? 0) && y >= (top ?? 0) && y < (bottom ?? 0) ? 255 : 0,
  );

export const pngOf = ({ data, width, height }: Pixels): Promise<Buffer> => encodePng(data, width, height);

/** The pictures of fixtures that other libraries made: of `test/fixtures/resize` and `scripts/webui-pictures.py`. */
export function made(name: string, width: number, height: number, channels: 1 | 3 | 4): Pixels {
  if (name === 'smooth') return draw(width, height, (x, y, c) => (x * 3 + y * 5 + c * 40) & 255, channels);
  if (name !== 'noise') throw new Error(`no picture is called ${name}`);
  let state = width * 1000 + height * 10 + channels;
  return draw(
    width,
    height,
    () => {
      state = (Math.imul(1103515245, state) + 12345) & 0x7fffffff;
      return (state >> 16) & 255;
    },
    channels,
  );
}
