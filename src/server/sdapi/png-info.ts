import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { ExtensionRegistry } from '../../extensions/registry.js';
import { readImageInfo } from '../../image/codec.js';
import { type PictureParameters, pictureParameters } from '../../runtime/picture-parameters.js';
import { readAs } from '../coerce.js';
import { pictureBytes, pictureField } from '../picture-input.js';
import type { Services } from '../services.js';

const body = z.object({ image: pictureField() });
const texts = z.record(z.string(), z.string());
const response = z.object({ info: z.string(), items: texts, parameters: texts });

/** Entries that say how a file is coded, not what was written into it. */
const TECHNICAL = new Set([
  'jfif',
  'jfif_version',
  'jfif_unit',
  'jfif_density',
  'dpi',
  'exif',
  'loop',
  'background',
  'timestamp',
  'duration',
  'progressive',
  'progression',
  'icc_profile',
  'chromaticity',
  'photoshop',
]);

function pastedParameters(picture: PictureParameters, extensions: ExtensionRegistry | undefined) {
  const parameters = {
    ...Object.fromEntries(picture.complete),
    Prompt: picture.prompt,
    'Negative prompt': picture.negativePrompt,
  };
  return extensions?.call('infotext_pasted', { infotext: picture.text, parameters }).parameters ?? parameters;
}

/** POST png-info: what a picture says of how it was made. */
export function addPngInfo(app: FastifyInstance, { settings, extensions }: Services): void {
  app.post(
    '/sdapi/v1/png-info',
    { schema: { tags: ['pictures'], body, response: { 200: response } } },
    async (request) => {
      const { image } = readAs(body, request.body, 'body');
      const info = await readImageInfo(await pictureBytes(image, settings));
      const picture = pictureParameters(info);
      const items = info.texts.filter(({ keyword }) => !TECHNICAL.has(keyword) && keyword !== 'parameters');
      return {
        info: picture?.text ?? '',
        items: Object.fromEntries(items.map(({ keyword, text }) => [keyword, text])),
        parameters: picture === undefined ? {} : pastedParameters(picture, extensions),
      };
    },
  );
}
