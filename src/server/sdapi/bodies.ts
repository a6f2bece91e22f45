import { z } from 'zod';
import { IMAGE_LIMITS } from '../../request/limits.js';
import { textToImageSchema } from '../../request/txt2img.js';
import { LATENT_UPSCALER_NAMES, PIXEL_UPSCALER_NAMES } from '../../request/upscalers.js';
import { samplerNames } from '../../sampling/samplers.js';
import { schedulerLabels } from '../../sampling/schedules.js';
import { EXAMPLE_PICTURE, pictureField } from '../picture-input.js';

/**
 * Bodies of the webui's generation routes. Types and ranges are those of our own requests where a field means the same;
 * defaults are the webui's API's, which are not its page's. A null stands for the default. Unknown fields are dropped,
 * as FastAPI does.
 */
const shape = textToImageSchema.shape;

const text = () => shape.negativePrompt.unwrap().nullable().default('');
const maybe = <T extends z.ZodType>(type: T) => type.nullable().default(null);
const flag = (value: boolean) => z.boolean().default(value);
const seed = () => shape.seed.unwrap().default(-1);
const side = () => z.number().int().min(16).max(16384).default(512);
/** A name out of a table, which other names are checked against. */
const named = (names: readonly string[]) =>
  z
    .string()
    .max(200)
    .meta({ examples: [...names] });
/** -1 and 0 are none. */
const resizeSide = () => z.number().int().min(-1).max(16384).default(-1);

const BASE = {
  prompt: text(),
  negative_prompt: text(),
  styles: maybe(shape.styles.unwrap()),
  seed: seed(),
  subseed: seed(),
  subseed_strength: shape.subseedStrength.unwrap().default(0),
  seed_resize_from_h: resizeSide(),
  seed_resize_from_w: resizeSide(),
  sampler_name: maybe(named(samplerNames())),
  scheduler: maybe(named(schedulerLabels())),
  batch_size: shape.batchSize.unwrap().default(1),
  n_iter: shape.count.unwrap().default(1),
  steps: shape.steps.unwrap().default(50),
  cfg_scale: shape.cfgScale.unwrap().default(7),
  width: side(),
  height: side(),
  restore_faces: maybe(z.boolean()),
  tiling: maybe(z.boolean()),
  do_not_save_samples: flag(false),
  do_not_save_grid: flag(false),
  eta: maybe(shape.eta.unwrap()),
  denoising_strength: maybe(z.number().min(0).max(1)),
  s_min_uncond: maybe(z.number()),
  s_churn: maybe(shape.sChurn.unwrap()),
  s_tmax: maybe(shape.sTmax.unwrap()),
  s_tmin: maybe(shape.sTmin.unwrap()),
  s_noise: maybe(shape.sNoise.unwrap()),
  override_settings: maybe(
    z
      .record(z.string(), z.unknown())
      .meta({ examples: [{}, { CLIP_stop_at_last_layers: 2 }, { samples_format: 'jpg' }] }),
  ),
  override_settings_restore_afterwards: flag(true),
  refiner_checkpoint: maybe(z.string()),
  refiner_switch_at: maybe(z.number()),
  disable_extra_networks: flag(false),
  comments: maybe(z.record(z.string(), z.unknown())),
  force_task_id: maybe(z.string().min(1).max(200)),
  sampler_index: named(samplerNames()).nullable().default('Euler'),
  script_name: maybe(z.string().meta({ examples: ['', 'None'] })),
  script_args: z.array(z.unknown()).default([]),
  send_images: flag(true),
  save_images: flag(false),
  alwayson_scripts: z
    .record(z.string(), z.unknown())
    .meta({ examples: [{}, { Refiner: { args: [false] } }] })
    .default({}),
  infotext: maybe(z.string().max(1_000_000)),
} as const;

export const txt2imgBody = z.object({
  ...BASE,
  firstpass_image: maybe(z.string()),
  enable_hr: flag(false),
  firstphase_width: z.number().int().min(0).max(16384).default(0),
  firstphase_height: z.number().int().min(0).max(16384).default(0),
  hr_scale: shape.hiresScale.unwrap().default(2),
  hr_upscaler: maybe(named([...LATENT_UPSCALER_NAMES, ...PIXEL_UPSCALER_NAMES])),
  hr_second_pass_steps: shape.hiresSteps.unwrap().default(0),
  hr_resize_x: shape.hiresResizeX.unwrap().default(0),
  hr_resize_y: shape.hiresResizeY.unwrap().default(0),
  hr_checkpoint_name: maybe(z.string()),
  hr_sampler_name: maybe(named(samplerNames())),
  hr_scheduler: maybe(named(schedulerLabels())),
  hr_prompt: text(),
  hr_negative_prompt: text(),
});
export type Txt2imgBody = z.output<typeof txt2imgBody>;

const blur = () => z.number().int().min(IMAGE_LIMITS.maskBlur.min).max(IMAGE_LIMITS.maskBlur.max);

export const img2imgBody = z.object({
  ...BASE,
  init_images: maybe(
    z
      .array(pictureField())
      .max(64)
      .meta({ examples: [[EXAMPLE_PICTURE]] }),
  ),
  resize_mode: z.number().int().min(0).max(3).default(0),
  denoising_strength: z.number().min(0).max(1).default(0.75),
  image_cfg_scale: maybe(z.number().min(0).max(100)),
  mask: maybe(pictureField()),
  mask_blur: maybe(blur()),
  mask_blur_x: blur().default(4),
  mask_blur_y: blur().default(4),
  mask_round: flag(true),
  inpainting_fill: z.number().int().min(0).max(3).default(0),
  inpaint_full_res: flag(true),
  inpaint_full_res_padding: z.number().int().min(IMAGE_LIMITS.padding.min).max(IMAGE_LIMITS.padding.max).default(0),
  inpainting_mask_invert: z.number().int().min(0).max(1).default(0),
  initial_noise_multiplier: maybe(
    z.number().min(IMAGE_LIMITS.noiseMultiplier.min).max(IMAGE_LIMITS.noiseMultiplier.max),
  ),
  latent_mask: maybe(z.string()),
  include_init_images: flag(false),
});
export type Img2imgBody = z.output<typeof img2imgBody>;
export type GenerationBody = Txt2imgBody | Img2imgBody;

/** What txt2img and img2img answer. */
export interface GenerationResponse {
  /** Image files as base64, a grid first. */
  readonly images: readonly string[];
  /** The request with its defaults. */
  readonly parameters: Readonly<Record<string, unknown>>;
  /** JSON as text. */
  readonly info: string;
}

/** Both routes answer alike. */
export const generationResponse = z.object({
  images: z.array(z.string()),
  parameters: z.record(z.string(), z.unknown()),
  info: z.string(),
});
