import type { LatentResize } from '../native/types.js';
import { UsageError } from './errors.js';
import { didYouMean } from './nearest.js';

/** The webui's latent upscalers and what each does to a latent; the first is the default of a second pass. */
export const LATENT_UPSCALERS = {
  Latent: 'bilinear',
  'Latent (antialiased)': 'bilinear-antialiased',
  'Latent (bicubic)': 'bicubic',
  'Latent (bicubic antialiased)': 'bicubic-antialiased',
  'Latent (nearest)': 'nearest',
  'Latent (nearest-exact)': 'nearest-exact',
} as const satisfies Record<string, LatentResize>;
export type LatentUpscaler = keyof typeof LATENT_UPSCALERS;
export const LATENT_UPSCALER_NAMES = Object.keys(LATENT_UPSCALERS) as LatentUpscaler[];

/** Upscalers of pixels that need no model, by the webui's names. */
export const PIXEL_UPSCALER_NAMES = ['None', 'Lanczos', 'Nearest'] as const;
export type PixelUpscaler = (typeof PIXEL_UPSCALER_NAMES)[number];

/** The known name, whatever the case. @throws UsageError with the nearest names, for `field` */
function find<N extends string>(text: string, names: readonly N[], field: string): N {
  const wanted = text.trim().toLowerCase();
  const found = names.find((name) => name.toLowerCase() === wanted);
  if (found !== undefined) return found;
  const shown = JSON.stringify(text.length > 64 ? `${text.slice(0, 61)}...` : text);
  // Comparing costs the product of both lengths, and no name is longer than this.
  const near = didYouMean(text.trim().slice(0, 64), names);
  throw new UsageError(`unknown upscaler ${shown}${near === '' ? ';' : near} known: ${names.join(', ')}`, field);
}

export function findPixelUpscaler(text: string, field = 'upscaler'): PixelUpscaler {
  return find(text, PIXEL_UPSCALER_NAMES, field);
}

/** Of a second pass: of latents or of pixels. */
export function findHiresUpscaler(text: string): LatentUpscaler | PixelUpscaler {
  return find<LatentUpscaler | PixelUpscaler>(
    text,
    [...LATENT_UPSCALER_NAMES, ...PIXEL_UPSCALER_NAMES],
    'hiresUpscaler',
  );
}

export function isLatentUpscaler(name: LatentUpscaler | PixelUpscaler): name is LatentUpscaler {
  return Object.hasOwn(LATENT_UPSCALERS, name);
}
