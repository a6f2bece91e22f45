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

/** Pictures as a run begins with them, as plain data. */
export interface PreparedPictures {
  /** RGB of one size, in the order of the inputs. */
  readonly encoded: readonly Pixels[];
  /** One grey value a pixel of what is encoded, 255 where to repaint; undefined: everywhere. */
  readonly mask: Pixels | undefined;
  /** The same for the latent's cells, 0 … 1. */
  readonly latentMask: Float32Array | undefined;
  /** Of the finished pictures. */
  readonly output: Size;
  /** What of each input is put over its result, RGBA; undefined: nothing. */
  readonly overlays: readonly (Pixels | undefined)[];
  /** The part that is made, where it is not the whole. */
  readonly region: Box | undefined;
  /** Only the masked part was to be made and the mask is black: it counts as none. */
  readonly isBlank: boolean;
  /** The inputs as a plan names them, and the mask. */
  readonly names: { readonly pictures: readonly PlanPicture[]; readonly mask: PlanPicture | undefined };
}

/** Pictures as a run begins with them, and what becomes of its results. */
export interface StartPictures extends PreparedPictures {
  /** What becomes of the result that began with picture i modulo their count. */
  readonly finish: (result: Pixels, index: number, signal: AbortSignal) => Promise<Pixels>;
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

/** What is done to a result. */
export interface FinishInput {
  readonly result: Pixels;
  /** Whose colours it takes, if it does. */
  readonly like: Pixels | undefined;
  readonly overlay: Pixels | undefined;
  readonly region: Box | undefined;
}

/** A result with the colours of what it began with, and under what is put over it. */
export function finishPicture({ result, like, overlay, region }: FinishInput): Pixels {
  const corrected = like === undefined ? result : correctColours(result, like);
  return overlay === undefined ? corrected : putOver(corrected, overlay, region);
}

/**
 * Prepares a run's pictures as the webui does: transparent places on the background, the run's size, the mask.
 * @throws UsageError for pictures of several sizes where there can be but one
 */
export function prepareStart(inputs: RunInputs, asked: StartSettings): PreparedPictures {
  const [first, ...more] = inputs.pictures;
  if (first === undefined) throw new UsageError('at least one picture is needed', 'initImages');
  const found = maskFor(inputs, asked);
  const isBlank = asked.mask !== null && found === undefined;
  const settings = isBlank ? { ...asked, mask: null } : asked;
  const needsOneSize = settings.mask !== null || settings.resizeMode === 'latent';
  if (needsOneSize && more.some((picture) => !sameSize(picture, first))) {
    const why = settings.mask === null ? 'in the resize mode "latent"' : 'with a mask';
    throw new UsageError(`${why} all pictures must have one size`, 'initImages');
  }
  const { size, latentScale, background } = settings;
  if (settings.resizeMode === 'latent' && Math.min(first.width, first.height) < latentScale) {
    throw new UsageError(`the picture is too small: sides of ${latentScale} pixels or more are needed`, 'initImages');
  }
  const starts = inputs.pictures.map((picture) => startOf(flatten(picture, background), settings, found));
  const here = starts[0]?.mask;
  const [cellsX, cellsY] = [size.width / latentScale, size.height / latentScale];
  const round = settings.mask?.round ?? true;
  return {
    encoded: starts.map(({ encoded }) => encoded),
    mask: here,
    latentMask: here && latentMask(here, cellsX, cellsY, round),
    output: found?.region ? { width: first.width, height: first.height } : size,
    overlays: starts.map(({ overlay }) => overlay),
    region: found?.region,
    isBlank,
    names: { pictures: inputs.pictures.map(planPicture), mask: inputs.mask && planPicture(inputs.mask) },
  };
}

/** The settings that a plan holds. */
export function settingsOf(start: PlanStart, size: Size, latentScale: number): StartSettings {
  const { resizeMode, background, mask, colorCorrection } = start;
  return { resizeMode, background, mask, colorCorrection, size, latentScale };
}
