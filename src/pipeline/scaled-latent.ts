import type { Latent } from '../native/types.js';
import type { GenerationPlan } from './plan.js';

/** What an encoder gave, times the model's scale factor, in float32: a latent as sampling has it. */
export function scaledLatent(encoded: Latent, { model }: Pick<GenerationPlan, 'model'>): Latent {
  const scale = Math.fround(model.scaleFactor);
  return { ...encoded, data: encoded.data.map((value) => value * scale) };
}
