import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodePng, readImageInfo } from '../../src/image/codec.js';
import { readPicture } from '../../src/image/read-picture.js';
import { resize } from '../../src/image/resize.js';
import { TestServer } from '../support/server.js';

let server: TestServer;
let picture: string;
const pixels = Uint8Array.from({ length: 32 * 24 * 3 }, (_, i) => (i * 7) % 256);
beforeAll(async () => {
  server = await TestServer.start({ fake: true, limits: { pixels: 64 * 64 } });
  picture = (await encodePng(pixels, 32, 24, [{ keyword: 'parameters', text: 'a fox' }])).toString('base64');
});
afterAll(() => server.stop());

const single = async (body: object) => {
  const { status, body: answer } = await server.post('/sdapi/v1/extra-single-image', { image: picture, ...body });
  return { status, answer: answer as { image: string; html_info: string; detail: unknown } };
};
const sizeOf = async (image: string) => {
  const { width, height } = await readImageInfo(Buffer.from(image, 'base64'));
  return [width, height];
};

describe('POST /sdapi/v1/extra-single-image', () => {
  it("resizes by a factor, with Pillow's bytes, and keeps what the picture says", async () => {
    const { status, answer } = await single({ upscaler_1: 'Lanczos', upscaling_resize: '2' });
    expect(status).toBe(200);
    expect(answer.html_info).toMatch(/Postprocess upscale by: 2\.0/);
    const file = Buffer.from(answer.image, 'base64');
    const { pixels: made } = await readPicture(file);
    const wanted = resize({ data: pixels, width: 32, height: 24, channels: 3 }, 64, 48, 'lanczos');
    expect(Buffer.from(made.data).equals(Buffer.from(wanted.data))).toBe(true);
    expect((await readImageInfo(file)).texts).toContainEqual({ keyword: 'parameters', text: 'a fox' });
  });

  it('resizes to a size, cropped or not, and leaves a picture alone without an upscaler', async () => {
    const to = { resize_mode: 1, upscaling_resize_w: 40, upscaling_resize_h: 40, upscaler_1: 'Nearest' };
    expect(await sizeOf((await single(to)).answer.image)).toEqual([40, 40]);
    expect(await sizeOf((await single({})).answer.image)).toEqual([32, 24]);
  });

  it('refuses what is not built, unknown or too large', async () => {
    const refused: [object, unknown][] = [
      [{ gfpgan_visibility: 1 }, [expect.objectContaining({ loc: ['body', 'gfpgan_visibility'] })]],
      [{ upscaler_1: 'R-ESRGAN 4x+' }, [expect.objectContaining({ loc: ['body', 'upscaler_1'] })]],
      [{ upscaling_resize: 0 }, [expect.objectContaining({ loc: ['body', 'upscaling_resize'] })]],
      [{ upscaler_1: 'Lanczos', upscaling_resize: 16 }, expect.stringMatching(/more than the 16384 pixels/)],
      [{ image: '' }, 'Invalid encoded image'],
    ];
    for (const [body, detail] of refused) {
      const { status, answer } = await single(body);
      expect([status, answer.detail]).toEqual([422, detail]);
    }
    // A few bytes that would be a gigabyte of pixels: its header is enough.
    const bomb = Buffer.from(await encodePng(new Uint8Array(3), 1, 1));
    bomb.writeUInt32BE(20_000, 16);
    bomb.writeUInt32BE(20_000, 20);
    expect((await single({ image: bomb.toString('base64'), upscaler_1: 'Lanczos' })).status).toBe(422);
  });
});

describe('POST /sdapi/v1/extra-batch-images', () => {
  it('resizes each', async () => {
    const imageList = ['a', 'b'].map((name) => ({ data: picture, name }));
    const body = { imageList, upscaler_1: 'Nearest', upscaling_resize: 2 };
    const { status, body: answer } = await server.post('/sdapi/v1/extra-batch-images', body);
    expect(status).toBe(200);
    const { images, html_info } = answer as { images: string[]; html_info: string };
    expect(await Promise.all(images.map(sizeOf))).toEqual([
      [64, 48],
      [64, 48],
    ]);
    expect(html_info).toMatch(/Nearest/);
    expect((await server.post('/sdapi/v1/extra-batch-images', {})).status).toBe(422);
  });
});
