import { z } from 'zod';
import { type FieldNaming, parseWith } from './describe.js';
import { IMAGE_DEFAULTS, IMAGE_LIMITS, INPAINT_AREAS, LIMITS, MASKED_CONTENTS, RESIZE_MODES } from './limits.js';
import { type PictureRequest, pictureRequestSchema } from './txt2img.js';

interface Range {
  readonly min: number;
  readonly max: number;
}

const number = ({ min, max }: Range) => z.number().min(min).max(max).describe(`a number from ${min} to ${max}`);
const whole = ({ min, max }: Range) =>
  z.number().int().min(min).max(max).describe(`a whole number from ${min} to ${max}`);
const flag = (shown: boolean) => z.boolean().describe('true or false').default(shown);
const oneOf = <T extends readonly [string, ...string[]]>(names: T) =>
  z.enum(names).describe(`one of ${names.join(', ')}`);
/** Decoded pixels: row-major, channels fastest, 3 RGB or 4 with straight alpha. */
export interface PixelInput {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly channels: 3 | 4;
}

/** An image file's bytes, or pixels. */
export type PictureInput = Uint8Array | PixelInput;

function isPicture(value: unknown): value is PictureInput {
  if (value instanceof Uint8Array) return true;
  if (typeof value !== 'object' || value === null) return false;
  const { data, width, height, channels } = value as Partial<PixelInput>;
  if (!(data instanceof Uint8Array) || (channels !== 3 && channels !== 4)) return false;
  const isSide = (side: unknown): side is number =>
    Number.isInteger(side) && Number(side) >= 1 && Number(side) <= 65_535;
  return isSide(width) && isSide(height) && data.length === width * height * channels;
}

const PICTURE = "an image file's bytes, or pixels as data, width, height and channels";
const picture = () => z.custom<PictureInput>(isPicture, { error: `must be ${PICTURE}` }).describe(PICTURE);

/** Where a side is not given: the first picture's own, down to a multiple of 8. */
const side = () =>
  z
    .number()
    .int()
    .min(LIMITS.side.min)
    .max(LIMITS.side.max)
    .multipleOf(LIMITS.side.multiple)
    .describe(`a multiple of ${LIMITS.side.multiple} from ${LIMITS.side.min} to ${LIMITS.side.max}`)
    .optional();

/**
 * One request for pictures from pictures: what `pictureRequestSchema` has, the pictures and how they count. With one picture
 * every result begins with it; with k of them result i begins with picture i mod k.
 */
export const imageToImageSchema = pictureRequestSchema.extend({
  initImages: z.array(picture()).min(1).max(IMAGE_LIMITS.images).describe(`1 to ${IMAGE_LIMITS.images} pictures`),
  width: side(),
  height: side(),
  /** How much of the picture is given up: the share of the steps that are gone. */
  denoisingStrength: number(LIMITS.strength).default(IMAGE_DEFAULTS.denoisingStrength),
  resizeMode: oneOf(RESIZE_MODES).default(IMAGE_DEFAULTS.resizeMode),
  /** How strictly models that edit pictures (InstructPix2Pix) follow the picture; nothing to others. */
  imageCfgScale: number(IMAGE_LIMITS.imageCfgScale).default(IMAGE_DEFAULTS.imageCfgScale),
  /** Where absent, the option of the same name. */
  initialNoiseMultiplier: number(IMAGE_LIMITS.noiseMultiplier).optional(),
  /** White where to repaint; the alpha where it has any. */
  mask: picture().optional(),
  /** Gaussian sigma in pixels. */
  maskBlur: number(IMAGE_LIMITS.maskBlur).default(IMAGE_DEFAULTS.maskBlur),
  /** Along x and y, in the place of `maskBlur`. */
  maskBlurX: number(IMAGE_LIMITS.maskBlur).optional(),
  maskBlurY: number(IMAGE_LIMITS.maskBlur).optional(),
  maskRound: flag(IMAGE_DEFAULTS.maskRound),
  maskedContent: oneOf(MASKED_CONTENTS).default(IMAGE_DEFAULTS.maskedContent),
  inpaintArea: oneOf(INPAINT_AREAS).default(IMAGE_DEFAULTS.inpaintArea),
  /** Pixels around the masked part, of the area "masked". */
  inpaintPadding: whole(IMAGE_LIMITS.padding).default(IMAGE_DEFAULTS.inpaintPadding),
  invertMask: flag(IMAGE_DEFAULTS.invertMask),
});

/** A request with every default filled in but the size, which may follow the picture. */
export type ImageToImageRequest = z.output<typeof imageToImageSchema>;
/** What a caller writes: only `prompt` and `initImages` are needed. */
export type ImageToImageInput = z.input<typeof imageToImageSchema>;
/** With the size that the picture gave. */
export type SizedImageRequest = ImageToImageRequest & Pick<PictureRequest, 'width' | 'height'>;

/** Whether a request begins with pictures. */
export function isImageInput(input: unknown): boolean {
  return typeof input === 'object' && input !== null && Object.hasOwn(input, 'initImages');
}

/** @throws UsageError naming the field, what was given and what is allowed. */
export function parseImageToImage(input: unknown, naming?: FieldNaming): ImageToImageRequest {
  return Object.freeze(parseWith(imageToImageSchema, input, naming));
}
