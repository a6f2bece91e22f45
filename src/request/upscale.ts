import { z } from 'zod';
import { type FieldNaming, parseWith } from './describe.js';
import { UPSCALE_DEFAULTS, UPSCALE_LIMITS } from './limits.js';

const { scale, side, visibility } = UPSCALE_LIMITS;

const pixels = () =>
  z.number().int().min(side.min).max(side.max).describe(`a whole number from ${side.min} to ${side.max}`).optional();

/** One request to make a picture larger (or smaller): by a factor, or to a size where a side is given. */
export const upscaleSchema = z.strictObject({
  scale: z
    .number()
    .min(scale.min)
    .max(scale.max)
    .describe(`a number from ${scale.min} to ${scale.max}`)
    .default(UPSCALE_DEFAULTS.scale),
  /** With one of both the other follows; with both the picture covers the size. */
  width: pixels(),
  height: pixels(),
  /** Whether what is beyond that size is cut off. */
  crop: z.boolean().describe('true or false').default(true),
  upscaler: z.string().min(1).describe("an upscaler's name").default(UPSCALE_DEFAULTS.upscaler),
  /** Mixed over the first one's result. */
  upscaler2: z.string().min(1).describe("an upscaler's name").default('None'),
  upscaler2Visibility: z
    .number()
    .min(visibility.min)
    .max(visibility.max)
    .describe(`a number from ${visibility.min} to ${visibility.max}`)
    .default(0),
});

export type UpscaleRequest = z.output<typeof upscaleSchema>;
export type UpscaleInput = z.input<typeof upscaleSchema>;

/** @throws UsageError naming the field, what was given and what is allowed. */
export function parseUpscale(input: unknown, naming?: FieldNaming): UpscaleRequest {
  return Object.freeze(parseWith(upscaleSchema, input, naming));
}
