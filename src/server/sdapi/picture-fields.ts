import { readImageInfo } from '../../image/codec.js';
import { MASKED_CONTENTS, RESIZE_MODES } from '../../request/limits.js';
import { HttpError, refuseField } from '../errors.js';
import { pictureBytes } from '../picture-input.js';
import type { ServerSettings } from '../settings.js';
import type { Img2imgBody } from './bodies.js';

/** Pixels of a picture that a request may begin with, as a multiple of those that may be made. */
const INPUT_SHARE = 8;

/** @throws HttpError, InvalidRequest, FailureError E_IMAGE_FORMAT */
async function readField(field: string, text: string, most: number, settings: ServerSettings): Promise<Buffer> {
  const bytes = await pictureBytes(text, settings);
  const { width, height } = await readImageInfo(bytes);
  if (width * height <= most) return bytes;
  throw refuseField(
    field,
    `a picture of ${width}x${height} is more than the ${most} pixels that this server takes here`,
  );
}

/**
 * What a body of img2img says of its pictures, as fields of ours.
 * @throws HttpError 404 without a picture, InvalidRequest, FailureError
 */
export async function pictureFields(body: Img2imgBody, settings: ServerSettings): Promise<Record<string, unknown>> {
  const { init_images: images, mask, batch_size: batchSize } = body;
  if (images === null || images.length === 0) throw new HttpError(404, 'Init image not found');
  if (images.length > batchSize && images.length > 1) {
    throw refuseField(
      'init_images',
      `${images.length} pictures need a batch_size of as many or more, not ${batchSize}`,
    );
  }
  const resizeMode = RESIZE_MODES[body.resize_mode];
  const { pixels } = settings.limits;
  const most = resizeMode === 'latent' ? pixels : INPUT_SHARE * pixels;
  const initImages: Buffer[] = [];
  for (const image of images) initImages.push(await readField('init_images', image, most, settings));
  const isMasked = mask !== null && mask !== '';
  return {
    initImages,
    resizeMode,
    denoisingStrength: body.denoising_strength,
    // Without a word of it such models take the ordinary guidance.
    imageCfgScale: body.image_cfg_scale ?? 1,
    ...(isMasked ? { mask: await readField('mask', mask, most, settings) } : {}),
    maskBlurX: body.mask_blur ?? body.mask_blur_x,
    maskBlurY: body.mask_blur ?? body.mask_blur_y,
    maskRound: body.mask_round,
    maskedContent: MASKED_CONTENTS[body.inpainting_fill],
    inpaintArea: body.inpaint_full_res ? 'masked' : 'whole',
    inpaintPadding: body.inpaint_full_res_padding,
    invertMask: body.inpainting_mask_invert === 1,
    ...(body.initial_noise_multiplier === null ? {} : { initialNoiseMultiplier: body.initial_noise_multiplier }),
  };
}

/** The request as the answer repeats it: without its pictures unless they were asked for. */
export function echoed(body: Img2imgBody): Record<string, unknown> {
  return body.include_init_images ? body : { ...body, init_images: null, mask: null };
}
