import type { Latent } from './latent.js';

/**
 * Latents that a run begins with: x = latent + sigma·noise, or alpha·latent + sqrt(1 - alpha²)·noise at a timestep. The
 * noise is the images' own: a second pass at another size draws it anew from the same seeds.
 */
export interface StartInput {
  /** Scaled, of the run's latent size; one for all images, or one each. */
  readonly latent: Latent;
  /** Of the noise, before anything else; default 1. */
  readonly noiseMultiplier?: number;
  /** How much of the noise is added once more; default 0. */
  readonly extraNoise?: number;
  /** For samplers that walk timesteps, and needed there: where the noise belongs. */
  readonly timestep?: number;
  /** [height, width] of the latent: 1 where the run may change it, 0 where it stays. */
  readonly mask?: Float32Array;
  /** What stands where the mask is 1 at the start: the latent's own (default), noise of the images' seeds, zeros. */
  readonly fill?: 'keep' | 'noise' | 'nothing';
}
