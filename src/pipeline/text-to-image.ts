import type { RuntimeContext } from '../context/runtime-context.js';
import type { NoiseSource } from '../native/types.js';
import type { ClipTokenizer } from '../prompt/tokenizer.js';
import { FailureError, UsageError } from '../request/errors.js';
import { LIMITS, type NoiseName } from '../request/limits.js';
import { type PictureRequest, samplingSteps } from '../request/txt2img.js';
import { findSampler, type SamplerInfo } from '../sampling/samplers.js';
import { findScheduler } from '../sampling/schedules.js';
import { planWalk, type WalkShare, type WalkStart } from '../sampling/walks.js';
import { furtherKind } from './further-channels.js';
import { type GenerationPlan, PLAN_FORMAT } from './plan.js';
import { planPrompts } from './prompts.js';
import type { RunSeeds } from './seeds.js';
import { chooseTiling } from './tiling.js';

const NOISE_SOURCES: Readonly<Record<NoiseName, NoiseSource>> = { gpu: 'philox', cpu: 'torch-cpu' };

/**
 * What can be refused without a model: names.
 * @throws UsageError
 */
export function checkNames(request: Pick<PictureRequest, 'sampler' | 'scheduler'>): void {
  findSampler(request.sampler);
  findScheduler(request.scheduler);
}

/** The sampler's settings: a request's own, else the options'; those it does not read stay at their defaults. */
function samplerSettings(sampler: SamplerInfo, request: PictureRequest, { options }: RuntimeContext) {
  const takes = new Set(sampler.takes);
  const { eta = sampler.walk === 'timesteps' ? options.etaDdim : options.eta } = request;
  const { sChurn = options.sChurn, sTmin = options.sTmin, sTmax = options.sTmax, sNoise = options.sNoise } = request;
  const churns = takes.has('churn');
  return {
    eta: takes.has('eta') ? eta : sampler.eta,
    sChurn: churns ? sChurn : 0,
    sTmin: churns ? sTmin : 0,
    // JSON has no infinity.
    sTmax: churns && sTmax !== 0 ? sTmax : Number.MAX_VALUE,
    sNoise: takes.has('noise') ? sNoise : 1,
    unipcVariant: options.uniPcVariant,
    unipcOrder: options.uniPcOrder,
  };
}

/** A pass's sampler and the way that it goes. */
export function planSampler(
  sampler: SamplerInfo,
  request: PictureRequest,
  context: RuntimeContext,
  share: WalkShare | undefined,
) {
  const { options } = context;
  const { noise } = context.model.description;
  const isUsual = noise.origin === 'default' && !noise.zeroTerminalSnr.value;
  const walk = planWalk({
    ...(isUsual ? {} : { trained: noise.alphasCumprod.map((alpha) => Math.sqrt((1 - alpha) / alpha)) }),
    sampler,
    scheduler: findScheduler(request.scheduler),
    steps: request.steps,
    settings: options,
    own: request.sigmas,
    skipType: options.uniPcSkipType,
    trailing: noise.trailingTimesteps,
    share,
  });
  const walked = {
    sampler: {
      id: sampler.id,
      name: sampler.name,
      scheduler: walk.scheduler,
      schedulerLabel: walk.label,
      schedulerNotes: walk.notes.map(([key, value]): [string, number | boolean | string] => [key, value]),
      ...samplerSettings(sampler, request, context),
    },
    steps: samplingSteps(request),
    sigmas: [...walk.sigmas],
    timesteps: walk.timesteps === null ? null : [...walk.timesteps],
    startWithSignal: options.sgmNoiseMultiplier && walk.timesteps === null && share === undefined,
    wholeTimesteps: options.enableQuantization && walk.timesteps === null && !sampler.distilled,
  };
  return { walked, start: walk.start };
}

/** Each picture alone where the sampler's steps depend on it. */
function splitBatches(batches: RunSeeds['batches'], sampler: SamplerInfo): number[][] {
  return sampler.oneImage ? batches.flat().map((seed) => [seed]) : batches.map((seeds) => [...seeds]);
}

function planSeeds(request: PictureRequest, seeds: RunSeeds, sampler: SamplerInfo, { options }: RuntimeContext) {
  const { seedResizeFromW: width, seedResizeFromH: height, subseedStrength: strength } = request;
  const seedDelta = options.etaNoiseSeedDelta;
  if (width > 0 !== height > 0) {
    throw new UsageError('a seed resize needs a width and a height', 'seedResizeFromW');
  }
  const isOutside = (seed: number): boolean => seed + seedDelta < 0 || seed + seedDelta > LIMITS.seed.max;
  if (seeds.batches.flat().some(isOutside)) {
    throw new UsageError(
      `the seed plus its delta (ENSD) must be 0 to ${LIMITS.seed.max} for every picture`,
      'etaNoiseSeedDelta',
    );
  }
  return {
    noiseSource: NOISE_SOURCES[request.rng],
    seedDelta,
    variation: seeds.variations === undefined ? null : { strength, batches: splitBatches(seeds.variations, sampler) },
    resizeFrom: width > 0 ? { width, height } : null,
    batches: splitBatches(seeds.batches, sampler),
  };
}

function planModel({ name, sha256, vae, description }: RuntimeContext['model']): GenerationPlan['model'] {
  return {
    name,
    sha256,
    family: description.family,
    predictionType: description.predictionType.value,
    vae: vae === undefined ? null : { name: vae.name, sha256: vae.sha256 },
    zeroTerminalSnr: description.noise.zeroTerminalSnr.value,
    scaleFactor: description.scaleFactor.value,
    textHeads: description.text.heads.value,
    unetHeads: [...description.unet.heads.value],
  };
}

/** All that both kinds of run have: the whole plan of one from text, and where a share of its walk begins. */
export function planGeneration(
  request: PictureRequest,
  context: RuntimeContext,
  seeds: RunSeeds,
  tokenizer: ClipTokenizer,
  { share, guided = false }: { readonly share?: WalkShare; readonly guided?: boolean } = {},
): { plan: GenerationPlan; start: WalkStart | undefined } {
  const { width, height } = request;
  const { latentScale, text } = context.model.description;
  if (width % latentScale !== 0 || height % latentScale !== 0) {
    throw new UsageError(
      `width and height must be multiples of ${latentScale} for this model; ${width}x${height} is not`,
    );
  }
  if (text.hasClipSkip && request.clipSkip > text.layers) {
    throw new UsageError(
      `clipSkip must be a whole number from 1 to ${text.layers} for this model; ${request.clipSkip} is not`,
      'clipSkip',
    );
  }
  const sampler = findSampler(request.sampler);
  const { walked, start } = planSampler(sampler, request, context, share);
  const plan: GenerationPlan = {
    format: PLAN_FORMAT,
    kind: 'txt2img',
    model: planModel(context.model),
    device: { name: context.device.name, precision: context.device.precision },
    tiling: chooseTiling(request.vaeTiling, request, latentScale),
    width,
    height,
    latentWidth: width / latentScale,
    latentHeight: height / latentScale,
    ...planPrompts(request, context, tokenizer, undefined, guided),
    textWindow: text.positions,
    // As in the webui it means nothing to families that always take the same layer.
    clipSkip: text.hasClipSkip ? request.clipSkip : 1,
    cfgScale: request.cfgScale,
    ...walked,
    start: null,
    hires: null,
    ...planSeeds(request, seeds, sampler, context),
  };
  return { plan, start };
}

/**
 * Resolves a request on a context into plain data.
 * @throws UsageError for what the request asks wrongly, FailureError for what the model cannot do
 */
export function planTextToImage(
  request: PictureRequest,
  context: RuntimeContext,
  seeds: RunSeeds,
  tokenizer: ClipTokenizer,
): GenerationPlan {
  const { description, path } = context.model;
  const kind = furtherKind(description);
  if (kind === 'edit') {
    throw new FailureError('E_MODEL_UNSUPPORTED', `${path} edits pictures: give it one (img2img)`);
  }
  if (kind === 'inpaint' && !description.vae.hasEncoder) {
    throw new FailureError(
      'E_MODEL_UNSUPPORTED',
      `${path} repaints pictures and has no encoder in its VAE: give one with --vae`,
    );
  }
  return planGeneration(request, context, seeds, tokenizer).plan;
}
