import type { RuntimeContext } from '../context/runtime-context.js';
import type { NoiseSource } from '../native/types.js';
import type { ClipTokenizer } from '../prompt/tokenizer.js';
import { UsageError } from '../request/errors.js';
import type { NoiseName } from '../request/limits.js';
import type { TextToImageRequest } from '../request/txt2img.js';
import { findSampler } from '../sampling/samplers.js';
import { computeSigmas, findScheduler } from '../sampling/schedules.js';
import { type GenerationPlan, PLAN_FORMAT } from './plan.js';
import { planPrompts } from './prompts.js';
import { chooseTiling } from './tiling.js';

const NOISE_SOURCES: Readonly<Record<NoiseName, NoiseSource>> = { gpu: 'philox', cpu: 'torch-cpu' };

/**
 * What can be refused without a model: names.
 * @throws UsageError
 */
export function checkNames(request: TextToImageRequest): void {
  findSampler(request.sampler);
  findScheduler(request.scheduler);
}

function planSampler(request: TextToImageRequest, context: RuntimeContext) {
  const sampler = findSampler(request.sampler);
  const schedule = computeSigmas({ sampler, scheduler: findScheduler(request.scheduler), steps: request.steps });
  const { eta, sChurn, sTmin, sTmax, sNoise } = context.options;
  return {
    sampler: {
      id: sampler.id,
      name: sampler.name,
      scheduler: schedule.scheduler,
      schedulerLabel: schedule.label,
      eta,
      sChurn,
      sTmin,
      sTmax,
      sNoise,
    },
    sigmas: [...schedule.sigmas],
  };
}

function planModel({ name, sha256, description }: RuntimeContext['model']): GenerationPlan['model'] {
  return {
    name,
    sha256,
    family: description.family,
    predictionType: description.predictionType.value,
    scaleFactor: description.scaleFactor.value,
    textHeads: description.text.heads.value,
    unetHeads: description.unet.heads.value,
  };
}

/**
 * Resolves a request on a context into plain data.
 * @param batches the seeds, batch by batch
 * @throws UsageError for what the request asks wrongly, FailureError for what the model cannot do
 */
export function planTextToImage(
  request: TextToImageRequest,
  context: RuntimeContext,
  batches: readonly (readonly number[])[],
  tokenizer: ClipTokenizer,
): GenerationPlan {
  const { width, height } = request;
  const { latentScale, text } = context.model.description;
  if (width % latentScale !== 0 || height % latentScale !== 0) {
    throw new UsageError(
      `width and height must be multiples of ${latentScale} for this model; ${width}x${height} is not`,
    );
  }
  if (request.clipSkip > text.layers) {
    throw new UsageError(
      `clipSkip must be a whole number from 1 to ${text.layers} for this model; ${request.clipSkip} is not`,
      'clipSkip',
    );
  }
  return {
    format: PLAN_FORMAT,
    kind: 'txt2img',
    model: planModel(context.model),
    device: { name: context.device.name, precision: context.device.precision },
    tiling: chooseTiling(request.vaeTiling, request, latentScale),
    width,
    height,
    latentWidth: width / latentScale,
    latentHeight: height / latentScale,
    ...planPrompts(request, context, tokenizer),
    textWindow: text.positions,
    clipSkip: request.clipSkip,
    cfgScale: request.cfgScale,
    ...planSampler(request, context),
    steps: request.steps,
    noiseSource: NOISE_SOURCES[request.rng],
    batches: batches.map((seeds) => [...seeds]),
  };
}
