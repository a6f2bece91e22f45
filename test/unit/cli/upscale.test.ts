import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodePng, readImageInfo } from '../../../src/image/codec.js';
import { readPicture } from '../../../src/image/read-picture.js';
import { type Pixels, resize } from '../../../src/image/resize.js';
import { upscalePicture } from '../../../src/pipeline/upscale.js';
import { parseUpscale } from '../../../src/request/upscale.js';
import { CliSandbox } from '../../support/cli.js';

function picture(width: number, height: number, channels: 3 | 4 = 3): Pixels {
  const data = Uint8Array.from({ length: width * height * channels }, (_, i) => (i * 37 + (i >> 3) * 11) & 255);
  return { data, width, height, channels };
}

describe('upscalePicture', () => {
  const upscale = (image: Pixels, input: object) => upscalePicture(image, parseUpscale(input));

  it('resizes by a factor to multiples of 8, and says so', () => {
    const image = picture(20, 12);
    const { pixels, notes } = upscale(image, { scale: 2 });
    expect([pixels.width, pixels.height]).toEqual([40, 24]);
    expect(pixels.data).toEqual(resize(image, 40, 24, 'lanczos').data);
    expect(notes).toEqual([
      ['Postprocess upscale by', '2.0'],
      ['Postprocess upscaler', 'Lanczos'],
    ]);
    // 30 x 18 by the factor, then to 24 x 16 as the webui does.
    const odd = upscale(image, { scale: 1.5, upscaler: 'nearest' }).pixels;
    expect(odd.data).toEqual(resize(resize(image, 30, 18, 'nearest'), 24, 16, 'lanczos').data);
  });

  it('covers a size and cuts its middle out, or keeps the rest', () => {
    const image = picture(16, 8);
    const whole = upscale(image, { width: 32, height: 32, crop: false, upscaler: 'Nearest' });
    expect([whole.pixels.width, whole.pixels.height]).toEqual([64, 32]);
    expect(whole.notes.map(([key]) => key)).toEqual(['Postprocess upscale to', 'Postprocess upscaler']);
    const { pixels, notes } = upscale(image, { width: 32, height: 32, upscaler: 'Nearest' });
    expect(notes).toContainEqual(['Postprocess crop to', '32x32']);
    const at = (from: Pixels, x: number, y: number): number | undefined => from.data[(y * from.width + x) * 3];
    for (const [x, y] of [
      [0, 0],
      [31, 31],
      [7, 20],
    ] as const) {
      expect(at(pixels, x, y)).toBe(at(whole.pixels, x + 16, y));
    }
  });

  it('lets one side follow the other, and fills sizes that are no multiples of 8', () => {
    const follows = upscale(picture(16, 8), { width: 50 }).pixels;
    expect([follows.width, follows.height]).toEqual([50, 25]);
    const { pixels } = upscale(picture(10, 10), { width: 50, height: 50 });
    expect([pixels.width, pixels.height]).toEqual([50, 50]);
    expect(pixels.data.subarray(0, 3).some((value) => value > 0)).toBe(true);
  });

  it('mixes a second upscaler as Pillow blends', () => {
    const image = picture(8, 8);
    const one = upscale(image, { upscaler: 'Lanczos' }).pixels.data;
    const two = upscale(image, { upscaler: 'Nearest' }).pixels.data;
    const { pixels, notes } = upscale(image, { upscaler2: 'Nearest', upscaler2Visibility: 0.25 });
    expect([...pixels.data]).toEqual([...one].map((value, i) => Math.trunc(value + 0.25 * ((two[i] ?? 0) - value))));
    expect(notes.at(-1)).toEqual(['Postprocess upscaler 2', 'Nearest']);
    expect(upscale(image, { upscaler2: 'Nearest' }).notes).toHaveLength(2);
  });

  it('keeps transparency, and leaves a picture alone with "None"', () => {
    expect(upscale(picture(8, 8, 4), { scale: 2 }).pixels.channels).toBe(4);
    const image = picture(5, 5);
    expect(upscale(image, { upscaler: 'none' })).toEqual({ pixels: image, notes: [] });
  });

  it('refuses what is unknown or too large', () => {
    expect(() => upscale(picture(8, 8), { upscaler: 'Lancsoz' })).toThrow(
      'unknown upscaler "Lancsoz"; did you mean Lanczos? known: None, Lanczos, Nearest',
    );
    expect(() => upscale(picture(8, 8), { upscaler2: 'x' })).toThrow(/unknown upscaler "x"; known/);
    expect(() => upscale({ ...picture(1, 1), width: 60_000, height: 60_000 }, { scale: 2 })).toThrow(/would have/);
    expect(() => parseUpscale({ scale: 0 })).toThrow('scale must be a number from 0.05 to 16; 0 is not');
  });
});

describe('sdgen upscale', () => {
  let box: CliSandbox;
  beforeAll(async () => {
    box = await CliSandbox.create();
    const { data, width, height } = picture(16, 8);
    const texts = [
      { keyword: 'parameters', text: 'a fox\nSteps: 2, Sampler: Euler, CFG scale: 7.0, Seed: 3, Size: 16x8' },
      { keyword: 'Author', text: 'me' },
    ];
    await writeFile(box.path('fox.png'), await encodePng(data, width, height, texts));
    await writeFile(box.path('broken.png'), 'not a picture');
  });
  afterAll(() => box.remove());

  it('writes the picture with its texts and what was done', async () => {
    const { code, out, err } = await box.run(['upscale', 'fox.png', '--scale', '2', '-o', 'large/']);
    expect({ code, out, err }).toEqual({ code: 0, out: `${join('large', 'fox-upscaled.png')}\n`, err: '' });
    const bytes = await sharp(box.path('large', 'fox-upscaled.png')).toBuffer({ resolveWithObject: true });
    expect([bytes.info.width, bytes.info.height]).toEqual([32, 16]);
    const info = await box.run(['info', 'large/fox-upscaled.png', '--json']);
    const { texts, parameters } = JSON.parse(info.out);
    expect(parameters.Seed).toBe('3');
    const done = 'Postprocess upscale by: 2.0, Postprocess upscaler: Lanczos';
    expect(texts.slice(1)).toEqual([
      { keyword: 'Author', text: 'me' },
      { keyword: 'postprocessing', text: done },
      { keyword: 'extras', text: done },
    ]);
  });

  it('gives the pixels that the library gives, twice over the same', async () => {
    const { out } = await box.run(['upscale', 'fox.png', '--width', '64', '-o', 'a.png', '--json']);
    const [file] = JSON.parse(out).files;
    expect(file).toMatchObject({ path: 'a.png', from: 'fox.png', width: 64, height: 32 });
    const { pixels } = await readPicture(await sharp(box.path('a.png')).png().toBuffer());
    expect(pixels.data).toEqual(resize(picture(16, 8), 64, 32, 'lanczos').data);
  });

  it('tells in the comment of other formats', async () => {
    expect((await box.run(['upscale', 'fox.png', '-o', 'b.jpg'])).code).toBe(0);
    const jpeg = await readImageInfo(await sharp(box.path('b.jpg')).keepExif().toBuffer());
    expect(jpeg.texts[0]?.text).toMatch(/Size: 16x8, Postprocess upscale by: 2\.0, Postprocess upscaler: Lanczos$/);
  });

  it.each([
    [['nothing.png'], 1, /cannot read .*nothing\.png/],
    [['broken.png'], 1, /broken\.png: not an image/],
    [['fox.png', '--upscaler', 'ESRGAN'], 2, /unknown upscaler "ESRGAN"; known: None, Lanczos, Nearest$/],
    [['fox.png', '--upscaler', 'none'], 2, /--upscaler None leaves pictures as they are/],
    [['fox.png', '--scale', '2', '--width', '9'], 2, /--scale and a size exclude each other/],
    [['fox.png', '--width', '0'], 2, /--width must be a whole number from 1 to 16384; 0 is not/],
    [['fox.png', 'fox.png', '-o', 'x/'], 2, /would both be written as x\/fox-upscaled\.png/],
    [['fox.png', 'broken.png', '-o', 'x.png'], 2, /--output x\.png is one file: give a folder/],
    [['fox.png', '-o', '-'], 2, /--output must be a file or a folder here/],
    [['fox.png', '-o', 'fox.png'], 1, /fox\.png exists; use --force to replace it/],
  ] as const)('%j ends with %i in one line', async (argv, expected, message) => {
    const { code, out, err } = await box.run(['upscale', ...argv]);
    expect({ code, out }).toEqual({ code: expected, out: '' });
    expect(err.trim()).toMatch(message);
    expect(err.trim().split('\n')).toHaveLength(1);
  });

  it('takes no size from the environment: it is of pictures that are made', async () => {
    const { code, out } = await box.run(['upscale', 'fox.png', '-o', 'env.png', '--json'], {
      env: { SDGEN_WIDTH: '512' },
    });
    expect(code).toBe(0);
    expect(JSON.parse(out).files[0].width).toBe(32);
  });
});
