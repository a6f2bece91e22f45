import type { ModelDescription } from '../native/types.js';
import { isLatentUpscaler } from '../request/upscalers.js';
import { furtherKind } from './further-channels.js';
import { type GenerationPlan, imageCount } from './plan.js';

/** What a plan's run encodes: so many pictures of one size in latent cells. */
export interface Encoding {
  readonly latentWidth: number;
  readonly latentHeight: number;
  readonly tiling: GenerationPlan['tiling'];
  readonly count: number;
}

/**
 * What of a plan goes through the VAE's encoder: what it begins with (twice where the model sees it too), a grey picture of
 * models that repaint, or what a second pass enlarges as pixels. Undefined where nothing does.
 */
export function encodingOf(plan: GenerationPlan, model: ModelDescription): Encoding | undefined {
  const { latentScale } = model;
  const { start, hires } = plan;
  const kind = furtherKind(model);
  const sized = ({ width, height }: { readonly width: number; readonly height: number }) => ({
    latentWidth: Math.floor(width / latentScale),
    latentHeight: Math.floor(height / latentScale),
  });
  if (start !== null) {
    return { ...sized(start.encoded), tiling: start.tiling, count: start.pictures.length * (kind === 'none' ? 1 : 2) };
  }
  if (kind === 'inpaint') return { ...sized(plan), tiling: plan.tiling, count: 1 };
  if (hires === null || isLatentUpscaler(hires.upscaler)) return undefined;
  return { ...sized(hires.resized), tiling: hires.resizedTiling, count: imageCount(plan) };
}
