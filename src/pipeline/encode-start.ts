import type { RuntimeContext } from '../context/runtime-context.js';
import type { Latent, SampleRequest, StartInput } from '../native/types.js';
import { encodePixels, type VaeListener } from './encode-pictures.js';
import { encodeFurther } from './further-channels.js';
import type { GenerationPlan } from './plan.js';
import { scaledLatent } from './scaled-latent.js';
import type { StartPictures } from './start-pictures.js';

const FILLS = { fill: 'keep', original: 'keep', noise: 'noise', nothing: 'nothing' } as const;

/** Image `place` of a batch of latents. */
function imageOf({ data, channels, width, height }: Latent, place: number): Float32Array {
  const size = channels * width * height;
  return data.subarray(place * size, (place + 1) * size);
}

/** Several images of a batch, in that order. */
function gather(latent: Latent, places: readonly number[]): Latent {
  const size = latent.channels * latent.width * latent.height;
  const data = new Float32Array(places.length * size);
  for (const [i, place] of places.entries()) data.set(imageOf(latent, place), i * size);
  return { ...latent, data, batch: places.length };
}

/** What a request holds of a run's pictures: `first` is the place of a batch's first picture in the run. */
export type BatchStart = (first: number, count: number) => Pick<SampleRequest, 'start' | 'further' | 'imageCfgScale'>;

/** Those of a batch, where a run has several. */
function ofBatch(latent: Latent, first: number, count: number): Latent {
  if (latent.batch === 1) return latent;
  return gather(
    latent,
    Array.from({ length: count }, (_, i) => (first + i) % latent.batch),
  );
}

/** Latents and further channels that the batches of a run begin with; undefined for text alone. */
export async function encodePictures(
  plan: GenerationPlan,
  pictures: StartPictures | undefined,
  context: RuntimeContext,
  listener: VaeListener,
): Promise<BatchStart | undefined> {
  const further = await encodeFurther(plan, pictures, context, listener);
  const start = pictures && (await encodeStart(plan, pictures, context, listener));
  if (further === undefined && start === undefined) return undefined;
  const scale = plan.start?.imageCfgScale ?? 1;
  return (first, count) => ({
    ...(start === undefined ? {} : { start: { ...start, latent: ofBatch(start.latent, first, count) } }),
    ...(further === undefined ? {} : { further: ofBatch(further, first, count) }),
    ...(scale === 1 ? {} : { imageCfgScale: scale }),
  });
}

/**
 * Encodes a run's pictures, once for all batches. A latent is the mean of the encoder's distribution times the scale factor:
 * the webui draws from it with the process's own generator, which no seed decides.
 */
async function encodeStart(
  plan: GenerationPlan,
  pictures: StartPictures,
  context: RuntimeContext,
  listener: VaeListener,
): Promise<StartInput> {
  const { model, state } = context;
  const { start, latentWidth: width, latentHeight: height } = plan;
  if (start === null) throw new TypeError('a run from text has no start');
  const { signal } = state;
  const images = pictures.encoded.map(({ data, width, height }) => () => ({ data, width, height }));
  const encoded = scaledLatent(await encodePixels(images, start.tiling, context, listener), plan);
  const fits = encoded.width === width && encoded.height === height;
  const latent = fits
    ? encoded
    : await model.engine.resizeLatent({ latent: encoded, width, height, mode: 'bilinear' }, { signal });
  const { noiseMultiplier, extraNoise, timestep, mask } = start;
  const rest = {
    noiseMultiplier,
    extraNoise,
    ...(timestep === null ? {} : { timestep }),
    ...(pictures.latentMask === undefined
      ? {}
      : { mask: pictures.latentMask, fill: FILLS[mask?.content ?? 'original'] }),
  };
  return { latent, ...rest };
}
