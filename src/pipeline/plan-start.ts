import { z } from 'zod';
import { IMAGE_LIMITS, INPAINT_AREAS, LIMITS, MASKED_CONTENTS, RESIZE_MODES } from '../request/limits.js';
import { float32, tilingSchema } from './plan-sampling.js';

const pixels = z.number().int().min(1).max(65_535);
const size = z.strictObject({ width: pixels, height: pixels });
const range = ({ min, max }: { readonly min: number; readonly max: number }) => z.number().min(min).max(max);

/** A picture that was decoded: its pixels' SHA-256. How a decoder rounds is not part of the plan. */
const pictureSchema = z.strictObject({
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  width: pixels,
  height: pixels,
  /** 3: RGB; 4: with straight alpha. */
  channels: z.union([z.literal(3), z.literal(4)]),
});

const maskSchema = z.strictObject({
  picture: pictureSchema,
  invert: z.boolean(),
  round: z.boolean(),
  blurX: range(IMAGE_LIMITS.maskBlur),
  blurY: range(IMAGE_LIMITS.maskBlur),
  content: z.enum(MASKED_CONTENTS),
  area: z.enum(INPAINT_AREAS),
  padding: range(IMAGE_LIMITS.padding),
});

/** What a run begins with besides noise: pictures, by the hash of their pixels, and what is done with them. */
export const startSchema = z
  .strictObject({
    /** Picture i of the run begins with number i modulo their count. */
    pictures: z.array(pictureSchema).min(1).max(IMAGE_LIMITS.images),
    /** How much of them is given up, and whether that left `steps` as they are; `sigmas` have the result. */
    denoisingStrength: range(LIMITS.strength),
    exactSteps: z.boolean(),
    /** How they get the run's size. */
    resizeMode: z.enum(RESIZE_MODES),
    background: z.string().regex(/^#[0-9a-f]{6}$/),
    /** Null: the run may change all of the picture. */
    mask: maskSchema.nullable(),
    /** Sizes of what is encoded and of the finished pictures: where only a part is made, those of the whole. */
    encoded: size,
    output: size,
    /** How it is cut for encoding. */
    tiling: tilingSchema,
    noiseMultiplier: range(IMAGE_LIMITS.noiseMultiplier),
    extraNoise: range(LIMITS.strength),
    /** Of samplers that walk timesteps: where the noise is put in. */
    timestep: float32.min(0).nullable(),
    /** Of samplers with Brownian noise: the smallest and the largest sigma of the whole schedule. */
    noiseInterval: z.strictObject({ low: float32.min(0), high: float32.min(0) }).nullable(),
    colorCorrection: z.boolean(),
    /** Of inpainting models: how much of the masked place they do not see. Null for others. */
    maskWeight: range(LIMITS.strength).nullable(),
    /** Of models that edit a picture: how strictly they follow it. Null for others. */
    imageCfgScale: range(IMAGE_LIMITS.imageCfgScale).nullable(),
  })
  .refine(({ mask, resizeMode }) => mask === null || resizeMode !== 'latent', {
    error: 'a mask and the resize mode "latent" exclude each other',
  });

export type PlanStart = Readonly<z.output<typeof startSchema>>;
export type PlanPicture = Readonly<z.output<typeof pictureSchema>>;
