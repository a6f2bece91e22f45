import { createHash } from 'node:crypto';
import { correctColours } from '../image/colour-correction.js';
import { type Box, crop, flatten } from '../image/composite.js';
import { fitTo } from '../image/fit.js';
import {
  fillMasked,
  latentMask,
  maskedRegion,
  overlayOf,
  putOver,
  readMask,
  regionAt,
  strengthened,
} from '../image/mask.js';
import { type Pixels, resize } from '../image/resize.js';
import { UsageError } from '../request/errors.js';
import type { PixelInput } from '../request/img2img.js';
import type { PlanPicture, PlanStart } from './plan-start.js';

/** The pictures that a run is given, decoded. */
export interface RunInputs {
  readonly pictures: readonly PixelInput[];
  readonly mask: PixelInput | undefined;
  /** Lines for people, e.g. that a file has more frames than the one that is taken. */
  readonly notes: readonly string[];
}

interface Size {
  readonly width: number;
  readonly height: number;
}

/** What decides how pictures are prepared; a plan has it. */
export interface StartSettings extends Pick<PlanStart, 'resizeMode' | 'background' | 'colorCorrection'> {
  readonly mask: Omit<NonNullable<PlanStart['mask']>, 'picture'> | null;
  /** The run's size in pixels, and pixels a latent cell. */
  readonly size: Size;
  readonly latentScale: number;
}

/** Pictures as a run begins with them. */
export interface StartPictures {
  /** RGB of one size, in the order of the inputs. */
  readonly encoded: readonly Pixels[];
  /** One grey value a pixel of what is encoded, 255 where to repaint; undefined: everywhere. */
  readonly mask: Pixels | undefined;
  /** The same for the latent's cells, 0 … 1. */
  readonly latentMask: Float32Array | undefined;
  /** Of the finished pictures. */
  readonly output: Size;
  /** What becomes of the result that began with picture i modulo their count. */
  readonly finish: (result: Pixels, index: number) => Pixels;
}

/** A picture as a plan names it. */
export function planPicture({ data, width, height, channels }: PixelInput): PlanPicture {
  return { sha256: createHash('sha256').update(data).digest('hex'), width, height, channels };
}

const sameSize = (a: Size, b: Size): boolean => a.width === b.width && a.height === b.height;

/** The mask at the picture's size, as it counts; undefined where nothing is to be repainted and only that is made. */
function maskFor({ pictures: [first], mask: picture }: RunInputs, { mask, size }: StartSettings) {
  if (mask === null || picture === undefined || first === undefined) return undefined;
  const fitting = sameSize(picture, first) ? picture : resize(picture, first.width, first.height, 'lanczos');
  const whole = readMask(fitting, mask);
  if (mask.area === 'whole') return { whole, region: undefined };
  const region = maskedRegion(whole, mask.padding, size.width, size.height);
  return region === undefined ? undefined : { whole, region };
}

/** Down to whole cells of the latent. */
function cutToCells(image: Pixels, scale: number): Pixels {
  const down = (side: number): number => Math.floor(side / scale) * scale;
  return crop(image, { x: 0, y: 0, width: down(image.width), height: down(image.height) });
}

/** What stands for one picture: what is encoded, and what is put over its result. */
function startOf(flat: Pixels, settings: StartSettings, mask: ReturnType<typeof maskFor>) {
  const { resizeMode, size, latentScale } = settings;
  const { width, height } = size;
  if (resizeMode === 'latent') return { encoded: cutToCells(flat, latentScale), mask: undefined, overlay: undefined };
  const seen = mask?.region && regionAt(flat, mask.region, 'fill', width, height);
  const encoded = seen ?? fitTo(flat, resizeMode, width, height);
  if (mask === undefined || settings.mask === null) return { encoded, mask: undefined, overlay: undefined };
  const here = mask.region
    ? regionAt(mask.whole, mask.region, 'fill', width, height)
    : fitTo(mask.whole, resizeMode, width, height);
  const overlay = mask.region ? overlayOf(flat, mask.whole) : overlayOf(encoded, strengthened(here));
  const filled = settings.mask.content === 'original' ? encoded : fillMasked(encoded, here);
  return { encoded: filled, mask: here, overlay };
}

interface Finish {
  readonly encoded: Pixels;
  readonly overlay: Pixels | undefined;
}

function finisher(starts: readonly Finish[], region: Box | undefined, correction: boolean): StartPictures['finish'] {
  return (result, index) => {
    const start = starts[index % starts.length];
    if (start === undefined) return result;
    const corrected = correction ? correctColours(result, start.encoded) : result;
    return start.overlay === undefined ? corrected : putOver(corrected, start.overlay, region);
  };
}

/** Whether the mask of these inputs is black where only the masked part was to be made. */
export function isBlank(inputs: RunInputs, settings: StartSettings): boolean {
  return settings.mask !== null && maskFor(inputs, settings) === undefined;
}

/**
 * Prepares a run's pictures as the webui does: transparent places on the background, the run's size, the mask.
 * @throws UsageError for pictures of several sizes where there can be but one
 */
export function prepareStart(inputs: RunInputs, settings: StartSettings): StartPictures {
  const [first, ...more] = inputs.pictures;
  if (first === undefined) throw new UsageError('at least one picture is needed', 'initImages');
  const needsOneSize = settings.mask !== null || settings.resizeMode === 'latent';
  if (needsOneSize && more.some((picture) => !sameSize(picture, first))) {
    const why = settings.mask === null ? 'in the resize mode "latent"' : 'with a mask';
    throw new UsageError(`${why} all pictures must have one size`, 'initImages');
  }
  const { size, latentScale, background } = settings;
  if (settings.resizeMode === 'latent' && Math.min(first.width, first.height) < latentScale) {
    throw new UsageError(`the picture is too small: sides of ${latentScale} pixels or more are needed`, 'initImages');
  }
  const mask = maskFor(inputs, settings);
  const starts = inputs.pictures.map((picture) => startOf(flatten(picture, background), settings, mask));
  const here = starts[0]?.mask;
  const [cellsX, cellsY] = [size.width / latentScale, size.height / latentScale];
  const round = settings.mask?.round ?? true;
  return {
    encoded: starts.map(({ encoded }) => encoded),
    mask: here,
    latentMask: here && latentMask(here, cellsX, cellsY, round),
    output: mask?.region ? { width: first.width, height: first.height } : size,
    finish: finisher(starts, mask?.region, settings.colorCorrection),
  };
}

/** The settings that a plan holds. */
export function settingsOf(start: PlanStart, size: Size, latentScale: number): StartSettings {
  const { resizeMode, background, mask, colorCorrection } = start;
  return { resizeMode, background, mask, colorCorrection, size, latentScale };
}
