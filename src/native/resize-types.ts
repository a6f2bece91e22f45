import type { Latent } from './latent.js';

/** How a latent gets another size: torch's interpolations (docs/numerics.md, "Resized latents"). */
export const LATENT_RESIZES = [
  'bilinear',
  'bilinear-antialiased',
  'bicubic',
  'bicubic-antialiased',
  'nearest',
  'nearest-exact',
] as const;
export type LatentResize = (typeof LATENT_RESIZES)[number];

export interface ResizeLatentRequest {
  readonly latent: Latent;
  /** In latent cells. */
  readonly width: number;
  readonly height: number;
  readonly mode: LatentResize;
}
