import type { Tiling } from '../native/types.js';
import type { VaeTilingName } from '../request/limits.js';
import { isLatentUpscaler } from '../request/upscalers.js';
import type { GenerationPlan } from './plan.js';

/** Latent cells, as in diffusers' tiled autoencoder: squares of 512 pixels that overlap by 128. */
const TILING: Tiling = { tile: 64, overlap: 16 };
/** Of a picture that is decoded or encoded in one piece unless told: the VAE's memory grows with it, 4 GB here in fp32. */
const LARGEST_WHOLE = 1024 * 1024;

interface Size {
  readonly width: number;
  readonly height: number;
}

const isLarge = ({ width, height }: Size): boolean => width * height > LARGEST_WHOLE;

/**
 * How a picture is cut for decoding or encoding. "auto" goes by its size alone, never by the machine: the same request gives the same
 * bytes everywhere.
 */
export function chooseTiling(choice: VaeTilingName, size: Size, latentScale: number): Tiling | 'none' {
  const wanted = choice === 'on' || (choice === 'auto' && isLarge(size));
  const fitsOne = Math.max(size.width, size.height) <= TILING.tile * latentScale;
  return wanted && !fitsOne ? TILING : 'none';
}

/** Where a plan's VAE works: sizes in pixels, and how each is cut. */
function tiledPlaces({ tiling, width, height, start, hires }: GenerationPlan) {
  const whole = { tiling, size: { width, height } };
  if (hires === null) return start === null ? [whole] : [whole, { tiling: start.tiling, size: start.encoded }];
  const last = { tiling: hires.tiling, size: hires };
  return isLatentUpscaler(hires.upscaler)
    ? [last]
    : [whole, { tiling: hires.resizedTiling, size: hires.resized }, last];
}

/** What a picture must say of its tiling so that the same flags make it again: nothing where "auto" does. */
export function tilingToTell(plan: GenerationPlan): 'on' | 'off' | undefined {
  const unusual = tiledPlaces(plan).find(({ tiling, size }) => (tiling !== 'none') !== isLarge(size));
  if (unusual === undefined) return undefined;
  return unusual.tiling === 'none' ? 'off' : 'on';
}
