import type { ResolvedDevice, RuntimeContext } from '../context/runtime-context.js';
import type { ProbeOptions } from '../native/bench-types.js';
import type { EstimateRequest } from '../native/types.js';
import { encodingOf } from '../pipeline/encoding.js';
import { chunkCount, type GenerationPlan, imageCount, type PlanPass, passesOf } from '../pipeline/plan.js';
import { isLatentUpscaler } from '../request/upscalers.js';
import { type Evaluations, evaluationsOf } from '../sampling/evaluations.js';

/** FLOPs of a run by part, from a checkpoint's header alone. */
export interface Work {
  readonly text: number;
  readonly unet: number;
  readonly vae: number;
  readonly total: number;
  /** Of one batch. */
  readonly evaluations: Evaluations;
}

/** Distinct windows of a pass's texts: each is encoded once for it. */
function windowCount({ prompt, negativePrompt }: PlanPass): number {
  const parts = negativePrompt.part === null ? prompt.parts : [...prompt.parts, negativePrompt.part];
  const chunks = parts.flatMap(({ texts }) => texts.flatMap(({ chunks }) => chunks));
  return new Set(chunks.map(({ tokens }) => tokens.join())).size;
}

/** FLOPs of one pass; `vae` is the decoding of one of its pictures. */
function workOfPass(pass: PlanPass, plan: GenerationPlan, { model }: RuntimeContext) {
  const { part: negative } = pass.negativePrompt;
  const condTokens = chunkCount(pass.prompt.parts) * plan.textWindow;
  const uncondTokens = negative === null ? 0 : chunkCount([negative]) * plan.textWindow;
  const size = { latentWidth: pass.latentWidth, latentHeight: pass.latentHeight };
  const tiling = pass.tiling === 'none' ? {} : { tiling: pass.tiling };
  const estimate = (batch: number, tokens: number, useUncond: boolean) => {
    const request: EstimateRequest = { ...size, batch, condTokens: tokens, uncondTokens: tokens, useUncond, ...tiling };
    return model.engine.estimate(request).parts;
  };
  // As the engine goes: both branches at once where they are as long, else one after the other; further parts one by one.
  const evaluation = (batch: number): number => {
    const further = pass.prompt.parts.length - 1;
    const alone = estimate(batch, condTokens, false).unet.flops;
    if (negative === null) return alone * (1 + further);
    if (condTokens === uncondTokens) return estimate(batch, condTokens, true).unet.flops + further * alone;
    return estimate(batch, uncondTokens, false).unet.flops + (1 + further) * alone;
  };
  const evaluations = evaluationsOf({ sampler: pass.sampler.id, sigmas: pass.sigmas, eta: pass.sampler.eta });
  const sizes = plan.batches.map(({ length }) => length);
  const bySize = new Map([...new Set(sizes)].map((batch) => [batch, evaluation(batch)]));
  const one = estimate(1, plan.textWindow, false);
  return {
    text: one.text.flops * windowCount(pass),
    unet: sizes.reduce((sum, batch) => sum + evaluations.count * (bySize.get(batch) ?? 0), 0),
    vae: one.vae.flops,
    evaluations,
  };
}

/** FLOPs of encoding what a run encodes. */
function encodingWork(plan: GenerationPlan, { model }: RuntimeContext): number {
  const encoding = encodingOf(plan, model.description);
  if (encoding === undefined) return 0;
  const { latentWidth, latentHeight, tiling, count } = encoding;
  const encoded = { latentWidth, latentHeight, ...(tiling === 'none' ? {} : { tiling }) };
  const small = { latentWidth: 8, latentHeight: 8, batch: 1, condTokens: 1, uncondTokens: 1, useUncond: false };
  return count * model.engine.estimate({ ...small, encoded }).parts.encoder.flops;
}

/** What a run on a context's model computes. */
export function workOf(plan: GenerationPlan, context: RuntimeContext): Work {
  const passes = passesOf(plan).map((pass) => workOfPass(pass, plan, context));
  const sum = (of: (pass: (typeof passes)[number]) => number): number =>
    passes.reduce((all, pass) => all + of(pass), 0);
  // Through pixels the first pass's pictures are decoded too.
  const throughPixels = plan.hires !== null && !isLatentUpscaler(plan.hires.upscaler);
  const decoded = throughPixels ? sum((pass) => pass.vae) : (passes.at(-1)?.vae ?? 0);
  const vae = imageCount(plan) * decoded + encodingWork(plan, context);
  const [text, unet] = [sum((pass) => pass.text), sum((pass) => pass.unet)];
  const evaluations = {
    count: sum((pass) => pass.evaluations.count),
    isExact: passes.every((pass) => pass.evaluations.isExact),
  };
  return { text, unet, vae, total: text + unet + vae, evaluations };
}

type Shares = Readonly<Record<'text' | 'unet' | 'vae', number>>;

/**
 * What part of the processor's peak a device reaches, as docs/performance.md measured it for full-size models; smaller ones
 * reach less.
 */
const SHARES: Readonly<Record<string, Shares>> = {
  cpu: { text: 0.62, unet: 0.72, vae: 0.76 },
  reference: { text: 0.25, unet: 0.35, vae: 0.45 },
};
/** bf16 by matrix tiles: so fast that memory and everything around the products counts. */
const AMX_SHARES: Shares = { text: 0.17, unet: 0.24, vae: 0.36 };

function sharesOf({ name, isa, precision }: ResolvedDevice): Shares | undefined {
  return name === 'cpu' && isa === 'amx' && precision === 'bf16' ? AMX_SHARES : SHARES[name];
}

/** Long enough for the processor's clock to rise, short enough to wait for. */
const PROBE_SECONDS = 0.2;

/** Seconds that a run takes once its weights are read, and what that was reckoned from. */
export interface TimeEstimate {
  readonly seconds: Readonly<Record<'text' | 'unet' | 'vae' | 'total', number>>;
  readonly peakGflops: number;
  readonly shares: Shares;
}

/**
 * The time that `work` takes here: FLOPs over the share of the measured peak that the device usually reaches.
 * @param probe measures the peak, in GFLOP/s
 * @returns undefined for a device or precision whose peak cannot be measured
 */
export async function estimateTime(
  work: Work,
  { device, commandOptions }: RuntimeContext,
  probe: (options: ProbeOptions) => Promise<number>,
): Promise<TimeEstimate | undefined> {
  const shares = sharesOf(device);
  const { precision } = device;
  if (shares === undefined || precision === 'fp16') return undefined;
  const peakGflops = await probe({ precision, threads: commandOptions.threads, seconds: PROBE_SECONDS });
  if (peakGflops <= 0) return undefined;
  const time = (part: keyof Shares): number => work[part] / (peakGflops * 1e9 * shares[part]);
  const [text, unet, vae] = [time('text'), time('unet'), time('vae')];
  return { seconds: { text, unet, vae, total: text + unet + vae }, peakGflops, shares };
}
