import type { RuntimeContext } from '../context/runtime-context.js';
import type { EncodeRequest, Latent, OpProfile } from '../native/types.js';
import type { GenerationPlan } from './plan.js';

/** Who hears of the VAE's calls. */
export interface VaeListener {
  /** Gets the engine's profile of every call, where anybody wants it. */
  readonly onProfile?: ((profile: readonly OpProfile[]) => void) | undefined;
  /** A result was not finite in the plan's precision, and was computed again in fp32. */
  readonly onRetry: () => void;
}

type FloatsOrLevels = EncodeRequest['images'][number];

/**
 * The means of what the VAE's encoder gives for pictures of one size, not scaled. They are made and encoded one after the
 * other, so that no more than one is in memory as floats.
 * @param pictures each is asked for when its turn comes
 */
export async function encodePixels(
  pictures: readonly (() => FloatsOrLevels | Promise<FloatsOrLevels>)[],
  tiling: GenerationPlan['tiling'],
  { model, state }: RuntimeContext,
  { onProfile, onRetry }: VaeListener,
): Promise<Latent> {
  const means: Latent[] = [];
  for (const picture of pictures) {
    const how = { ...(tiling === 'none' ? {} : { tiling }), profile: onProfile !== undefined };
    const { moments, profile } = await model.engine.encode(
      { images: [await picture()], ...how },
      { signal: state.signal },
    );
    onProfile?.(profile);
    if (moments.retriedInFp32) onRetry();
    means.push(moments.mean);
  }
  const [first, ...more] = means;
  if (first === undefined) throw new TypeError('there is no picture to encode');
  if (more.length === 0) return first;
  const data = new Float32Array(means.length * first.data.length);
  for (const [i, mean] of means.entries()) data.set(mean.data, i * first.data.length);
  return { ...first, data, batch: means.length };
}
