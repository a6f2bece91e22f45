import type { RuntimeContext } from '../context/runtime-context.js';
import type { Pixels } from '../image/resize.js';
import type { Latent, ModelDescription } from '../native/types.js';
import { encodePixels, type VaeListener } from './encode-pictures.js';
import type { GenerationPlan } from './plan.js';
import { scaledLatent } from './scaled-latent.js';
import type { StartPictures } from './start-pictures.js';

/** What a UNet has after the latent's channels: nothing; a mask and the masked picture's latent; the latent of a picture to edit. */
export type FurtherKind = 'none' | 'inpaint' | 'edit';

export function furtherKind({ unet, latentChannels }: ModelDescription): FurtherKind {
  const further = unet.inChannels - latentChannels;
  return further === 0 ? 'none' : further === latentChannels ? 'edit' : 'inpaint';
}

interface FloatPicture {
  readonly data: Float32Array;
  readonly width: number;
  readonly height: number;
}

/** Of each pixel 1 where the mask is on, 0 … 1 where it is soft; without a mask all is on. */
function pixelMask(mask: Pixels | undefined, pixels: number, round: boolean): Float32Array {
  if (mask === undefined) return new Float32Array(pixels).fill(1);
  return Float32Array.from(mask.data, (level) => (round ? Math.round(level / 255) : level / 255));
}

/** Colours in [-1, 1], grey where the mask is on: how much so is the weight's matter. */
function maskedPicture({ data, width, height }: Pixels, mask: Float32Array, weight: number): FloatPicture {
  const masked = Float32Array.from(data, (level, i) => {
    return (2 * (level / 255) - 1) * (1 - weight * (mask[Math.floor(i / 3)] ?? 0));
  });
  return { data: masked, width, height };
}

/** The mask of each cell: that of its first pixel, as torch's nearest takes it. */
function cellMask(mask: Float32Array, from: { width: number; height: number }, to: { width: number; height: number }) {
  return Float32Array.from({ length: to.width * to.height }, (_, i) => {
    const x = Math.floor(((i % to.width) * from.width) / to.width);
    const y = Math.floor((Math.floor(i / to.width) * from.height) / to.height);
    return mask[y * from.width + x] ?? 0;
  });
}

/** Mask and latent of every picture as one latent of as many channels. */
function joined(masks: readonly Float32Array[], latent: Latent): Latent {
  const cells = latent.width * latent.height;
  const each = (latent.channels + 1) * cells;
  const data = new Float32Array(latent.batch * each);
  for (let i = 0; i < latent.batch; i += 1) {
    data.set(masks[i % masks.length] ?? new Float32Array(cells), i * each);
    data.set(latent.data.subarray(i * latent.channels * cells, (i + 1) * latent.channels * cells), i * each + cells);
  }
  return { ...latent, data, channels: latent.channels + 1 };
}

/**
 * What the further channels hold of each of a run's pictures; undefined where the model has none. A run from text has one
 * grey picture that is masked all over.
 */
export async function encodeFurther(
  plan: GenerationPlan,
  pictures: StartPictures | undefined,
  context: RuntimeContext,
  listener: VaeListener,
): Promise<Latent | undefined> {
  const { model, state } = context;
  const kind = furtherKind(model.description);
  if (kind === 'none') return undefined;
  const { signal } = state;
  const encode = async (images: Parameters<typeof encodePixels>[0]) => {
    const mean = await encodePixels(images, plan.start?.tiling ?? plan.tiling, context, listener);
    const { latentWidth: width, latentHeight: height } = plan;
    if (mean.width === width && mean.height === height) return mean;
    return model.engine.resizeLatent({ latent: mean, width, height, mode: 'bilinear' }, { signal });
  };
  if (kind === 'edit') {
    return encode(
      (pictures?.encoded ?? []).map(({ data, width, height }) => () => ({ data, width, height })),
    );
  }
  const cells = { width: plan.latentWidth, height: plan.latentHeight };
  if (pictures === undefined) {
    const { width, height } = plan;
    const latent = await encode([() => ({ data: new Float32Array(3 * width * height), width, height })]);
    const everywhere = new Float32Array(cells.width * cells.height).fill(1);
    return joined([everywhere], scaledLatent(latent, plan));
  }
  const [{ width, height } = plan] = pictures.encoded;
  const mask = pixelMask(pictures.mask, width * height, plan.start?.mask?.round ?? true);
  const weight = plan.start?.maskWeight ?? 1;
  const latent = await encode(pictures.encoded.map((picture) => () => maskedPicture(picture, mask, weight)));
  return joined([cellMask(mask, { width, height }, cells)], scaledLatent(latent, plan));
}
