import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { z } from 'zod';
import { ioError } from '../image/atomic-write.js';
import { MAX_INPUT_BYTES, readPicture } from '../image/read-picture.js';
import { checkNames } from '../pipeline/text-to-image.js';
import { parseWith } from '../request/describe.js';
import { FailureError } from '../request/errors.js';
import { imageToImageSchema, type PixelInput } from '../request/img2img.js';
import { DEFAULTS } from '../request/limits.js';
import { samplingSteps } from '../request/txt2img.js';
import type { RequestKind } from './request-kind.js';

const path = () => z.string().min(1).describe("an image file's path");

/** A line's fields: those of img2img, with files where that has pictures. Several files are several pictures, each alone. */
const schema = imageToImageSchema
  .omit({ initImages: true, mask: true })
  .extend({ image: path(), mask: path().optional() });

/** @throws FailureError that names the file */
async function readInput(file: string, cwd: string): Promise<PixelInput> {
  const whole = resolve(cwd, file);
  const info = await stat(whole).catch((error: unknown) => {
    throw ioError(error, 'read', file);
  });
  if (!info.isFile()) throw new FailureError('E_IO', `cannot read ${file}: it is no file`);
  if (info.size > MAX_INPUT_BYTES) throw new FailureError('E_IO', `${file} has more than ${MAX_INPUT_BYTES} bytes`);
  try {
    const { pixels } = await readPicture(await readFile(whole));
    return { ...pixels, channels: pixels.channels === 4 ? 4 : 3 };
  } catch (error) {
    if (!(error instanceof FailureError)) throw ioError(error, 'read', file);
    throw new FailureError(error.code, `${file} ${error.message}`, { cause: error });
  }
}

export const imageToImage: RequestKind = {
  name: 'img2img',
  schema,
  marks: ['image'],
  check: (fields, naming) => {
    const request = parseWith(schema, fields, naming);
    checkNames(request);
    const { width = DEFAULTS.width, height = DEFAULTS.height, batchSize } = request;
    return { steps: samplingSteps(request), pixels: width * height * batchSize };
  },
  toInput: async ({ image, mask, ...fields }, cwd) => ({
    ...fields,
    initImages: [await readInput(String(image), cwd)],
    ...(mask === undefined ? {} : { mask: await readInput(String(mask), cwd) }),
  }),
};
