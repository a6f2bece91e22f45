import { gaussianBlurInside } from './box-blur.js';
import { type Box, compositeOnto, crop, cutOut, paste, unpremultiply } from './composite.js';
import { type Fit, fitTo } from './fit.js';
import { blurAlong } from './mask-blur.js';
import { type Pixels, resize } from './resize.js';

export interface MaskSettings {
  readonly invert: boolean;
  /** Whether a cell of the latent is either repainted or not, and an alpha channel either on or off. */
  readonly round: boolean;
  /** Gaussian sigmas in pixels of the mask. */
  readonly blurX: number;
  readonly blurY: number;
}

/**
 * What a mask picture says, white where to repaint: its alpha, where any pixel is not opaque, else its luminance (ITU-R
 * 601, rounded as Pillow does).
 */
function levelsOf({ data, width, height, channels }: Pixels, round: boolean): Pixels {
  const grey = new Uint8Array(width * height);
  for (let pixel = 0; pixel < grey.length; pixel += 1) {
    const at = pixel * channels;
    if (channels === 4) grey[pixel] = round ? ((data[at + 3] ?? 0) > 128 ? 255 : 0) : (data[at + 3] ?? 0);
    else if (channels === 1) grey[pixel] = data[at] ?? 0;
    else {
      const sum = (data[at] ?? 0) * 19595 + (data[at + 1] ?? 0) * 38470 + (data[at + 2] ?? 0) * 7471 + 0x8000;
      grey[pixel] = sum >> 16;
    }
  }
  return { data: grey, width, height, channels: 1 };
}

/** The mask as it counts: read, inverted, blurred. One channel, 255 where to repaint. */
export function readMask(picture: Pixels, { invert, round, blurX, blurY }: MaskSettings): Pixels {
  const levels = levelsOf(picture, round);
  const turned = invert ? { ...levels, data: levels.data.map((level) => 255 - level) } : levels;
  return blurAlong(blurAlong(turned, blurX, 'x'), blurY, 'y');
}

/** The smallest box around all that is not black; undefined where all is. */
function boundsOf({ data, width, height }: Pixels): Box | undefined {
  let [left, top, right, bottom] = [width, height, -1, -1];
  for (let pixel = 0; pixel < data.length; pixel += 1) {
    if (data[pixel] === 0) continue;
    const x = pixel % width;
    const y = (pixel - x) / width;
    if (x < left) left = x;
    if (x > right) right = x;
    if (y < top) top = y;
    if (y > bottom) bottom = y;
  }
  return right < 0 ? undefined : { x: left, y: top, width: right + 1 - left, height: bottom + 1 - top };
}

/** Grows [from, to) by `more`, kept inside 0 … most as the webui does it. */
function grow(from: number, to: number, more: number, most: number): readonly [number, number] {
  let low = from - Math.floor(more / 2);
  let high = to + more - Math.floor(more / 2);
  if (high >= most) {
    low -= high - most;
    high = most;
  }
  if (low < 0) {
    high -= low;
    low = 0;
  }
  return [low, Math.min(high, most)];
}

/**
 * The part of a picture that "only masked" works on: around the mask, `padding` more on each side, grown to the shape of
 * width×height and kept inside. Undefined for a mask that is all black.
 */
export function maskedRegion(mask: Pixels, padding: number, width: number, height: number): Box | undefined {
  const bounds = boundsOf(mask);
  if (bounds === undefined) return undefined;
  const x1 = Math.max(bounds.x - padding, 0);
  const y1 = Math.max(bounds.y - padding, 0);
  const x2 = Math.min(bounds.x + bounds.width + padding, mask.width);
  const y2 = Math.min(bounds.y + bounds.height + padding, mask.height);
  const ratio = width / height;
  if ((x2 - x1) / (y2 - y1) > ratio) {
    const [top, bottom] = grow(y1, y2, Math.trunc((x2 - x1) / ratio - (y2 - y1)), mask.height);
    return { x: x1, y: top, width: x2 - x1, height: bottom - top };
  }
  const [left, right] = grow(x1, x2, Math.trunc((y2 - y1) * ratio - (x2 - x1)), mask.width);
  return { x: left, y: y1, width: right - left, height: y2 - y1 };
}

/** The mask that decides which of the original's pixels are put over the result of a whole picture: twice as strong. */
export function strengthened(mask: Pixels): Pixels {
  return { ...mask, data: mask.data.map((level) => Math.min(255, 2 * level)) };
}

/** A mask for the latent's cells, [height, width]: 1 where to repaint. */
export function latentMask(mask: Pixels, width: number, height: number, round: boolean): Float32Array {
  const small = resize(mask, width, height, 'bicubic');
  return Float32Array.from(small.data, (level) => (round ? Math.round(level / 255) : Math.fround(level / 255)));
}

/** Radii of the blurs that are laid over each other, and how often. */
const FILLS = [
  [256, 1],
  [64, 1],
  [16, 2],
  [4, 4],
  [2, 2],
  [0, 1],
] as const;

/**
 * The picture with what the mask covers replaced by its blurred surroundings; both of one size, RGB and grey. The last
 * layer is the picture where the mask is black, so that the others count in the mask's bounds alone.
 */
export function fillMasked(rgb: Pixels, mask: Pixels): Pixels {
  const filled: Pixels = { ...rgb, data: rgb.data.slice() };
  const box = boundsOf(mask);
  if (box === undefined) return filled;
  const { width, height } = box;
  const seen = cutOut(rgb, mask);
  const layers = new Uint8Array(width * height * 4);
  for (const [radius, times] of FILLS) {
    const { data: blurred } = unpremultiply(gaussianBlurInside(seen, radius, box));
    for (let i = 0; i < times; i += 1) compositeOnto(layers, blurred);
  }
  const data = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < data.length; from += 4, to += 3) {
    for (let c = 0; c < 3; c += 1) data[to + c] = layers[from + c] ?? 0;
  }
  paste(filled, { data, width, height, channels: 3 }, box.x, box.y);
  return filled;
}

/** What of the original is put over a result, RGBA: all that the mask does not cover. */
export function overlayOf(rgb: Pixels, mask: Pixels): Pixels {
  return unpremultiply(cutOut(rgb, mask));
}

/** A result with the original's pixels over it; where only a part was made, that part is put back into its place first. */
export function putOver(result: Pixels, overlay: Pixels, region: Box | undefined): Pixels {
  const { width, height } = overlay;
  const whole = new Uint8Array(width * height * 4);
  const placed: Pixels = { data: new Uint8Array(width * height * 3), width, height, channels: 3 };
  const covered = new Uint8Array(width * height);
  if (region === undefined) {
    placed.data.set(result.data);
    covered.fill(255);
  } else {
    paste(placed, fitTo(result, 'crop', region.width, region.height), region.x, region.y);
    const solid: Pixels = {
      data: new Uint8Array(region.width * region.height).fill(255),
      width: region.width,
      height: region.height,
      channels: 1,
    };
    paste({ data: covered, width, height, channels: 1 }, solid, region.x, region.y);
  }
  for (let pixel = 0; pixel < covered.length; pixel += 1) {
    for (let c = 0; c < 3; c += 1) whole[pixel * 4 + c] = placed.data[pixel * 3 + c] ?? 0;
    whole[pixel * 4 + 3] = covered[pixel] ?? 0;
  }
  compositeOnto(whole, overlay.data);
  for (let pixel = 0; pixel < covered.length; pixel += 1) {
    for (let c = 0; c < 3; c += 1) placed.data[pixel * 3 + c] = whole[pixel * 4 + c] ?? 0;
  }
  return placed;
}

/** A picture's part as the model sees it. */
export function regionAt(image: Pixels, region: Box, mode: Fit, width: number, height: number): Pixels {
  return fitTo(crop(image, region), mode, width, height);
}
