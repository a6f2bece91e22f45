import type { RuntimeContext } from '../context/runtime-context.js';
import type { ClipTokenizer } from '../prompt/tokenizer.js';
import { FailureError, UsageError } from '../request/errors.js';
import { samplingSteps, type TextToImageRequest } from '../request/txt2img.js';
import { findHiresUpscaler, isLatentUpscaler } from '../request/upscalers.js';
import { findSampler } from '../sampling/samplers.js';
import { findScheduler } from '../sampling/schedules.js';
import { furtherKind } from './further-channels.js';
import { hiresSize } from './hires-size.js';
import type { GenerationPlan } from './plan.js';
import type { PlanHires } from './plan-hires.js';
import { planPrompts } from './prompts.js';
import { planSampler } from './text-to-image.js';
import { chooseTiling } from './tiling.js';

/**
 * What can be refused of a second pass without a model: names.
 * @throws UsageError
 */
export function checkHiresNames(request: TextToImageRequest): void {
  if (!request.hires) return;
  findHiresUpscaler(request.hiresUpscaler);
  if (request.hiresSampler !== undefined) findSampler(request.hiresSampler, 'hiresSampler');
  if (request.hiresScheduler !== undefined) findScheduler(request.hiresScheduler, 'hiresScheduler');
}

/** The second pass's names of what its planning names as the first one's. */
const OWN_FIELDS: Readonly<Record<string, string>> = {
  steps: 'hiresSteps',
  denoisingStrength: 'hiresDenoisingStrength',
  sampler: 'hiresSampler',
  scheduler: 'hiresScheduler',
  prompt: 'hiresPrompt',
  negativePrompt: 'hiresNegativePrompt',
};

/** Plans the second pass; what is wrong with it says so. */
function plannedAsSecond<T>(plan: () => T): T {
  try {
    return plan();
  } catch (error) {
    const field = error instanceof UsageError ? OWN_FIELDS[error.field ?? ''] : undefined;
    if (!(error instanceof UsageError) || field === undefined) throw error;
    throw new UsageError(`in the second pass: ${error.message}`, field);
  }
}

/** The second pass as a request of its own: what it does not say is the first one's. */
function secondRequest(request: TextToImageRequest): TextToImageRequest {
  return {
    ...request,
    prompt: request.hiresPrompt || request.prompt,
    negativePrompt: request.hiresNegativePrompt || request.negativePrompt,
    sampler: request.hiresSampler ?? request.sampler,
    scheduler: request.hiresScheduler ?? request.scheduler,
    cfgScale: request.hiresCfgScale ?? request.cfgScale,
    steps: request.hiresSteps || samplingSteps(request),
    sigmas: undefined,
  };
}

/**
 * A plan with the second pass that its request asks for; one of the first pass's size is none.
 * @throws UsageError for what the request asks wrongly, FailureError for what the model cannot do
 */
export function withHires(
  plan: GenerationPlan,
  request: TextToImageRequest,
  context: RuntimeContext,
  tokenizer: ClipTokenizer,
): GenerationPlan {
  const { latentScale, vae } = context.model.description;
  const size = request.hires ? hiresSize(request, latentScale) : undefined;
  if (size === undefined) return plan;
  if (furtherKind(context.model.description) !== 'none') {
    throw new FailureError(
      'E_MODEL_UNSUPPORTED',
      `${context.model.path} repaints pictures: a second pass is not built for such models, leave --hires out`,
    );
  }
  const upscaler = findHiresUpscaler(request.hiresUpscaler);
  if (!isLatentUpscaler(upscaler) && !vae.hasEncoder) {
    throw new FailureError(
      'E_MODEL_UNSUPPORTED',
      `${context.model.path} has no encoder in its VAE, which the upscaler ${upscaler} needs: take a latent one, or give a VAE with --vae`,
    );
  }
  const second = secondRequest(request);
  const strength = request.hiresDenoisingStrength;
  const share = { strength, exact: true };
  const { walked, start, prompt, negativePrompt } = plannedAsSecond(() => ({
    ...planSampler(findSampler(second.sampler), second, context, share),
    ...planPrompts(second, context, tokenizer, request),
  }));
  const { startWithSignal: _, ...way } = walked;
  const [width, height] = [size.latent.width * latentScale, size.latent.height * latentScale];
  const { hiresScale: scale, hiresResizeX: x, hiresResizeY: y } = request;
  const hires: PlanHires = {
    upscaler,
    target: x === 0 && y === 0 ? { scale } : { width: x, height: y },
    resized: size.resized,
    width,
    height,
    latentWidth: size.latent.width,
    latentHeight: size.latent.height,
    tiling: chooseTiling(request.vaeTiling, { width, height }, latentScale),
    resizedTiling: isLatentUpscaler(upscaler) ? 'none' : chooseTiling(request.vaeTiling, size.resized, latentScale),
    denoisingStrength: strength,
    prompt,
    negativePrompt,
    cfgScale: second.cfgScale,
    ...way,
    extraNoise: context.options.img2imgExtraNoise,
    timestep: start?.timestep ?? null,
    noiseInterval: start?.noiseInterval ?? null,
  };
  return { ...plan, hires };
}
