import { resolve } from 'node:path';
import { z } from 'zod';
import { readBoundedFile } from '../image/read-file.js';
import { MAX_INPUT_BYTES } from '../image/read-picture.js';
import { checkNames } from '../pipeline/text-to-image.js';
import { parseWith } from '../request/describe.js';
import { imageToImageSchema, type PixelInput } from '../request/img2img.js';
import { DEFAULTS } from '../request/limits.js';
import { samplingSteps } from '../request/txt2img.js';
import { decodeInput } from '../runtime/run-inputs.js';
import type { RequestKind } from './request-kind.js';

const path = () => z.string().min(1).describe("an image file's path");

/** A line's fields: those of img2img, with files where that has pictures. Several files are several pictures, each alone. */
const schema = imageToImageSchema
  .omit({ initImages: true, mask: true })
  .extend({ image: path(), mask: path().optional() });

/** @throws FailureError that names the file */
async function readInput(file: string, cwd: string, notes: string[]): Promise<PixelInput> {
  return decodeInput(await readBoundedFile(resolve(cwd, file), MAX_INPUT_BYTES, 'a picture'), file, notes);
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
  toInput: async ({ image, mask, ...fields }, cwd, notes) => ({
    ...fields,
    initImages: [await readInput(String(image), cwd, notes)],
    ...(mask === undefined ? {} : { mask: await readInput(String(mask), cwd, notes) }),
  }),
};
