import { z } from 'zod';
import { HIRES_LIMITS, LIMITS } from '../request/limits.js';
import { LATENT_UPSCALER_NAMES, PIXEL_UPSCALER_NAMES } from '../request/upscalers.js';
import { float32, samplingShape, side, tilingSchema } from './plan-sampling.js';

const range = ({ min, max }: { readonly min: number; readonly max: number }) => z.number().min(min).max(max);

/**
 * The second pass: the first one's result enlarged to `resized`, the middle of it gone over again. Noise is drawn anew from
 * the same seeds, at this size.
 */
export const hiresSchema = z.strictObject({
  upscaler: z.enum([...LATENT_UPSCALER_NAMES, ...PIXEL_UPSCALER_NAMES]),
  /** What was asked for: a factor, or sides of which 0 follows the other. */
  target: z.union([
    z.strictObject({ scale: range(HIRES_LIMITS.scale) }),
    z.strictObject({ width: side.or(z.literal(0)), height: side.or(z.literal(0)) }),
  ]),
  /** Pixels, before the middle is taken. */
  resized: z.strictObject({ width: side, height: side }),
  width: side,
  height: side,
  latentWidth: side,
  latentHeight: side,
  /** How the result is cut for decoding, and the enlarged picture for encoding; that of latents is not. */
  tiling: tilingSchema,
  resizedTiling: tilingSchema,
  /** `steps` are gone, the end of a longer way; `sigmas` have the result. */
  denoisingStrength: range(HIRES_LIMITS.denoisingStrength),
  ...samplingShape,
  extraNoise: range(LIMITS.strength),
  /** Of samplers that walk timesteps: where the noise is put in. */
  timestep: float32.min(0).nullable(),
  /** Of samplers with Brownian noise: the smallest and the largest sigma of the whole schedule. */
  noiseInterval: z.strictObject({ low: float32.min(0), high: float32.min(0) }).nullable(),
});

export type PlanHires = Readonly<z.output<typeof hiresSchema>>;
