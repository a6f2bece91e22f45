import type { RuntimeContext } from '../context/runtime-context.js';
import type { Latent } from '../native/types.js';
import { isLatentUpscaler, LATENT_UPSCALERS, type PixelUpscaler } from '../request/upscalers.js';
import { encodePixels, type VaeListener } from './encode-pictures.js';
import { middleOf } from './hires-size.js';
import { pictureThread } from './picture-thread.js';
import type { GenerationPlan } from './plan.js';
import type { PlanHires } from './plan-hires.js';
import { scaledLatent } from './scaled-latent.js';

/** The middle of latents, each plane by itself. */
function middle(latent: Latent, width: number, height: number): Latent {
  if (latent.width === width && latent.height === height) return latent;
  const planes = latent.batch * latent.channels;
  const data = new Float32Array(planes * width * height);
  const [left, top] = [middleOf(latent.width, width), middleOf(latent.height, height)];
  for (let row = 0; row < planes * height; row += 1) {
    const [plane, y] = [Math.floor(row / height), row % height];
    const from = (plane * latent.height + top + y) * latent.width + left;
    data.set(latent.data.subarray(from, from + width), row * width);
  }
  return { ...latent, data, width, height };
}

/** Through pixels: decoded, enlarged as pictures, and encoded again by the mean of the encoder's distribution. */
async function throughPixels(
  latent: Latent,
  upscaler: PixelUpscaler,
  { resized, resizedTiling }: PlanHires,
  plan: GenerationPlan,
  context: RuntimeContext,
  listener: VaeListener,
): Promise<Latent> {
  const { model, state } = context;
  const { latentScale } = model.description;
  const tiling = plan.tiling === 'none' ? {} : { tiling: plan.tiling };
  const request = { latent, ...tiling, profile: listener.onProfile !== undefined };
  const { images, profile } = await model.engine.decode(request, { signal: state.signal });
  listener.onProfile?.(profile);
  if (images.some(({ retriedInFp32 }) => retriedInFp32)) listener.onRetry();
  const cells = (side: number): number => side - (side % latentScale);
  const { width, height } = resized;
  const kept = { width: cells(width), height: cells(height) };
  const enlarged = images.map(({ data, width: w, height: h }) => () => {
    const image = { data, width: w, height: h, channels: 3 } as const;
    return pictureThread.run('enlarge', { image, width, height, upscaler, kept }, state.signal);
  });
  return scaledLatent(await encodePixels(enlarged, resizedTiling, context, listener), plan);
}

/** A first pass's latents at the size of the second, as its upscaler makes them. */
export async function enlarge(
  latent: Latent,
  hires: PlanHires,
  plan: GenerationPlan,
  context: RuntimeContext,
  listener: VaeListener,
): Promise<Latent> {
  const { upscaler, resized, latentWidth, latentHeight } = hires;
  const { model, state } = context;
  const { latentScale } = model.description;
  const cells = (side: number): number => Math.floor(side / latentScale);
  const size = { width: cells(resized.width), height: cells(resized.height) };
  const whole = isLatentUpscaler(upscaler)
    ? await model.engine.resizeLatent({ latent, ...size, mode: LATENT_UPSCALERS[upscaler] }, { signal: state.signal })
    : await throughPixels(latent, upscaler, hires, plan, context, listener);
  return middle(whole, latentWidth, latentHeight);
}
