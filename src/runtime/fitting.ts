import type { RuntimeContext } from '../context/runtime-context.js';
import { canonicalJson, type GenerationPlan, imageCount } from '../pipeline/plan.js';
import { chooseTiling } from '../pipeline/tiling.js';
import { isLatentUpscaler } from '../request/upscalers.js';
import { hasRoom, type Room } from './memory.js';
import { estimateRun, type PixelSize } from './prepare.js';

/** Sides are tried in sixteenths of what was asked for, rounded down to this many pixels. */
const SIXTEENTHS = 16;
const SIDE_STEP = 64;

/** The largest of 1 … most for which it holds, given that it holds for all below one that it holds for; 0 for none. */
function largest(most: number, holds: (n: number) => boolean): number {
  let [low, high] = [0, most];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (holds(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The same pictures in batches of that many. */
function inBatches(plan: GenerationPlan, size: number): GenerationPlan {
  const seeds = plan.batches.flat();
  const count = Math.ceil(seeds.length / size);
  return { ...plan, batches: Array.from({ length: count }, (_, i) => seeds.slice(i * size, (i + 1) * size)) };
}

function atScale(plan: GenerationPlan, sixteenths: number, latentScale: number): GenerationPlan {
  const side = (pixels: number): number =>
    Math.max(SIDE_STEP, Math.floor((pixels * sixteenths) / SIXTEENTHS / SIDE_STEP) * SIDE_STEP);
  const sized = <P extends PixelSize>(pass: P): P => {
    const [width, height] = [side(pass.width), side(pass.height)];
    return { ...pass, width, height, latentWidth: width / latentScale, latentHeight: height / latentScale };
  };
  const { start, hires } = plan;
  const at = ({ width, height }: PixelSize) => ({ width: side(width), height: side(height) });
  // A picture that is encoded in a size of its own (the resize mode "latent") keeps it.
  const follows = start !== null && start.encoded.width === plan.width && start.encoded.height === plan.height;
  return {
    ...sized(plan),
    start: start && follows ? { ...start, encoded: at(start.encoded) } : start,
    hires: hires && { ...sized(hires), resized: at(hires.resized) },
  };
}

/** The same with the VAE in tiles, wherever a picture is larger than one. */
function inTiles(plan: GenerationPlan, latentScale: number): GenerationPlan {
  const tiles = (size: PixelSize) => chooseTiling('on', size, latentScale);
  const { start, hires } = plan;
  const throughPixels = hires !== null && !isLatentUpscaler(hires.upscaler);
  return {
    ...plan,
    tiling: tiles(plan),
    start: start && { ...start, tiling: tiles(start.encoded) },
    hires: hires && {
      ...hires,
      tiling: tiles(hires),
      resizedTiling: throughPixels ? tiles(hires.resized) : 'none',
    },
  };
}

/**
 * What would fit into the room that there is in a run's place, each by the engine's own estimate: the VAE in tiles, smaller
 * batches, a smaller picture, fewer pictures. Empty where nothing of that does.
 */
export function whatFits(
  plan: GenerationPlan,
  context: RuntimeContext,
  sheet: PixelSize | undefined,
  room: Room,
): string[] {
  const { latentScale } = context.model.description;
  const fits = (candidate: GenerationPlan): boolean => hasRoom(estimateRun(candidate, context, sheet).memory, room);
  const found: string[] = [];
  const tiled = inTiles(plan, latentScale);
  const canTile = canonicalJson(tiled) !== canonicalJson(plan);
  if (canTile && fits(tiled)) found.push('the VAE in tiles (vae tiling on)');
  const batch = Math.max(...plan.batches.map(({ length }) => length));
  const smaller = largest(batch - 1, (size) => fits(inBatches(plan, size)));
  if (smaller > 0) found.push(`a batch size of ${smaller}`);
  const least = inBatches(tiled, 1);
  if (found.length === 0 && batch > 1 && canTile && fits(least)) found.push('a batch size of 1 and the VAE in tiles');
  const size = largest(SIXTEENTHS - 1, (sixteenths) => fits(atScale(plan, sixteenths, latentScale)));
  const small = atScale(plan, size, latentScale);
  if (size > 0 && small.width * small.height < plan.width * plan.height)
    found.push(`${small.width}x${small.height} pixels`);
  // Finished pictures stay until the end: with many of them it may be they that do not fit.
  const batches = largest(plan.batches.length - 1, (n) => fits({ ...plan, batches: plan.batches.slice(0, n) }));
  if (batches > 0) found.push(`${imageCount({ ...plan, batches: plan.batches.slice(0, batches) })} pictures at a time`);
  return found;
}
