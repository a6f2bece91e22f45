import type { Tiling } from '../native/types.js';
import type { VaeTilingName } from '../request/limits.js';

/** Latent cells, as in diffusers' tiled decoder: squares of 512 pixels that overlap by 128. */
const TILING: Tiling = { tile: 64, overlap: 16 };
/** Of a picture that is decoded in one piece unless told: the decoder's memory grows with it, 4 GB here in fp32. */
const LARGEST_WHOLE = 1024 * 1024;

interface Size {
  readonly width: number;
  readonly height: number;
}

const isLarge = ({ width, height }: Size): boolean => width * height > LARGEST_WHOLE;

/**
 * How a picture is cut for decoding. "auto" goes by its size alone, never by the machine: the same request gives the same
 * bytes everywhere.
 */
export function chooseTiling(choice: VaeTilingName, size: Size, latentScale: number): Tiling | 'none' {
  const wanted = choice === 'on' || (choice === 'auto' && isLarge(size));
  const fitsOne = Math.max(size.width, size.height) <= TILING.tile * latentScale;
  return wanted && !fitsOne ? TILING : 'none';
}

/** What a picture must say of its tiling so that the same flags make it again: nothing where "auto" does. */
export function tilingToTell(tiling: Tiling | 'none', size: Size): 'on' | 'off' | undefined {
  const isTiled = tiling !== 'none';
  if (isTiled === isLarge(size)) return undefined;
  return isTiled ? 'on' : 'off';
}
