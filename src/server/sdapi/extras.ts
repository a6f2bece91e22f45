import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { encodePicture, readImageInfo } from '../../image/codec.js';
import { requireEncodable } from '../../image/formats.js';
import { formatPairs } from '../../image/infotext.js';
import { pictureThread } from '../../pipeline/picture-thread.js';
import { UsageError } from '../../request/errors.js';
import { UPSCALE_LIMITS } from '../../request/limits.js';
import { parseUpscale } from '../../request/upscale.js';
import { readAs } from '../coerce.js';
import { HttpError, refuseField } from '../errors.js';
import { pictureBytes, pictureField } from '../picture-input.js';
import type { Services } from '../services.js';
import { fileOptions } from './fields.js';

const share = () => z.number().min(0).max(1).default(0);
const side = () => z.number().int().min(1).max(UPSCALE_LIMITS.side.max).default(512);
const upscaler = () =>
  z
    .string()
    .max(200)
    .meta({ examples: ['None', 'Lanczos', 'Nearest'] })
    .default('None');

const BASE = {
  resize_mode: z.number().int().min(0).max(1).default(0),
  show_extras_results: z.boolean().default(true),
  gfpgan_visibility: share(),
  codeformer_visibility: share(),
  codeformer_weight: share(),
  upscaling_resize: z.number().min(UPSCALE_LIMITS.scale.min).max(UPSCALE_LIMITS.scale.max).default(2),
  upscaling_resize_w: side(),
  upscaling_resize_h: side(),
  upscaling_crop: z.boolean().default(true),
  upscaler_1: upscaler(),
  upscaler_2: upscaler(),
  extras_upscaler_2_visibility: share(),
  upscale_first: z.boolean().default(false),
} as const;
const singleBody = z.object({ ...BASE, image: pictureField().default('') });
const batchBody = z.object({
  ...BASE,
  imageList: z.array(z.object({ data: pictureField(), name: z.string() })).max(64),
});
type ExtrasBody = z.output<z.ZodObject<typeof BASE>>;

/** How many times the pixels of a picture that is made one that is given or resized may have. */
const FACTOR = 4;

/** The webui's names of the fields of a resizing. */
const NAMES: Readonly<Record<string, string>> = {
  scale: 'upscaling_resize',
  width: 'upscaling_resize_w',
  height: 'upscaling_resize_h',
  upscaler: 'upscaler_1',
  upscaler2: 'upscaler_2',
  upscaler2Visibility: 'extras_upscaler_2_visibility',
};

/** @throws InvalidRequest for what is not built */
function readRequest(body: ExtrasBody) {
  for (const field of ['gfpgan_visibility', 'codeformer_visibility'] as const) {
    if (body[field] > 0)
      throw refuseField(field, `${field} asks for face restoration, which is not built here: leave it 0`);
  }
  const size =
    body.resize_mode === 0
      ? { scale: body.upscaling_resize }
      : { width: body.upscaling_resize_w, height: body.upscaling_resize_h, crop: body.upscaling_crop };
  return parseUpscale({
    ...size,
    upscaler: body.upscaler_1,
    upscaler2: body.upscaler_2,
    upscaler2Visibility: body.extras_upscaler_2_visibility,
  });
}

/** Pixels of the resized picture, at most. */
function targetPixels(
  body: ExtrasBody,
  { width, height }: { readonly width: number; readonly height: number },
): number {
  if (body.resize_mode === 0) return width * height * body.upscaling_resize ** 2;
  const scale = Math.max(body.upscaling_resize_w / width, body.upscaling_resize_h / height);
  return width * height * scale ** 2;
}

async function resizeOne(
  text: string,
  body: ExtrasBody,
  { settings, options }: Services,
): Promise<{ image: string; done: string }> {
  const request = readRequest(body);
  const bytes = await pictureBytes(text, settings);
  // The header tells the size: nothing is decoded that is too large.
  const info = await readImageInfo(bytes);
  const most = FACTOR * settings.limits.pixels;
  if (Math.max(info.width * info.height, targetPixels(body, info)) > most) {
    throw new HttpError(
      422,
      `a picture of ${info.width}x${info.height} or its result has more than the ${most} pixels that this server takes`,
    );
  }
  const { pixels, notes } = await pictureThread.run('upscale', { bytes, request });
  const { format, quality } = fileOptions(options.view().webui);
  const { data, width, height } = pixels;
  const done = formatPairs(notes);
  const parameters = info.texts.find(({ keyword }) => keyword === 'parameters')?.text ?? '';
  const texts =
    format === 'png' && done !== '' ? ['postprocessing', 'extras'].map((keyword) => ({ keyword, text: done })) : [];
  requireEncodable(format, { width, height }, parameters);
  const file = await encodePicture({ rgb: data, width, height }, { format, quality, parameters, texts });
  return { image: Buffer.from(file).toString('base64'), done };
}

/** Errors with the fields as the client knows them. */
async function inWebuiWords<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw refuseField(NAMES[error.field ?? ''] ?? 'upscaling_resize', error.message);
  }
}

const asHtml = (texts: readonly string[]): string =>
  [...new Set(texts)]
    .filter((text) => text !== '')
    .map((text) => `<p>${text.replace(/[<>&"]/g, '')}</p>`)
    .join('');

/** POST extra-single-image and extra-batch-images: pictures at another size; nothing is saved. */
export function addExtras(app: FastifyInstance, services: Services): void {
  const single = z.object({ html_info: z.string(), image: z.string() });
  app.post(
    '/sdapi/v1/extra-single-image',
    { schema: { tags: ['pictures'], body: singleBody, response: { 200: single } } },
    async (request) => {
      const body = readAs(singleBody, request.body, 'body');
      const { image, done } = await inWebuiWords(() => resizeOne(body.image, body, services));
      return { html_info: asHtml([done]), image };
    },
  );
  const batch = z.object({ html_info: z.string(), images: z.array(z.string()) });
  app.post(
    '/sdapi/v1/extra-batch-images',
    { schema: { tags: ['pictures'], body: batchBody, response: { 200: batch } } },
    async (request) => {
      const body = readAs(batchBody, request.body, 'body');
      const made: { image: string; done: string }[] = [];
      for (const { data } of body.imageList) made.push(await inWebuiWords(() => resizeOne(data, body, services)));
      return { html_info: asHtml(made.map(({ done }) => done)), images: made.map(({ image }) => image) };
    },
  );
}
