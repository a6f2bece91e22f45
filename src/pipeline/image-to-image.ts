import type { RuntimeContext } from '../context/runtime-context.js';
import type { ClipTokenizer } from '../prompt/tokenizer.js';
import { FailureError, UsageError } from '../request/errors.js';
import type { ImageToImageRequest, SizedImageRequest } from '../request/img2img.js';
import { LIMITS } from '../request/limits.js';
import { furtherKind } from './further-channels.js';
import type { GenerationPlan } from './plan.js';
import type { PlanStart } from './plan-start.js';
import type { RunSeeds } from './seeds.js';
import { beginWith } from './start.js';
import type { RunInputs, StartPictures, StartSettings } from './start-pictures.js';
import { planGeneration } from './text-to-image.js';
import { chooseTiling } from './tiling.js';

/** The request with a size: its own, else the first picture's, down to a multiple of 8. @throws UsageError */
export function withSize(request: ImageToImageRequest, { pictures }: RunInputs): SizedImageRequest {
  const [first, ...more] = pictures;
  const { width, height } = request;
  if (width !== undefined && height !== undefined) return { ...request, width, height };
  if (more.some((picture) => picture.width !== first?.width || picture.height !== first?.height)) {
    throw new UsageError('the pictures have different sizes: give a width and a height', 'width');
  }
  const { min, max, multiple } = LIMITS.side;
  const own = (side: number | undefined): number =>
    Math.min(max, Math.max(min, Math.floor((side ?? 0) / multiple) * multiple));
  return { ...request, width: width ?? own(first?.width), height: height ?? own(first?.height) };
}

/**
 * How many batches of how many: with several pictures each batch has one result of each, as the webui has it; in batches of
 * one they follow each other. The bytes are the same.
 * @throws UsageError for batches that are too small for the pictures
 */
export function withBatches<R extends Pick<ImageToImageRequest, 'count' | 'batchSize'>>(
  request: R,
  pictures: number,
): R {
  if (pictures === 1) return request;
  const { count, batchSize } = request;
  if (batchSize === 1) return { ...request, count: count * pictures };
  if (batchSize >= pictures) return { ...request, batchSize: pictures };
  throw new UsageError(
    `batchSize must be 1, or at least ${pictures} for ${pictures} pictures; ${batchSize} is not`,
    'batchSize',
  );
}

/** What a request decides about its pictures. */
export function startSettings(
  request: SizedImageRequest,
  { options, model }: RuntimeContext,
  hasMask: boolean,
): StartSettings {
  const { resizeMode, maskBlur, maskBlurX = maskBlur, maskBlurY = maskBlur } = request;
  const mask = {
    invert: request.invertMask,
    round: request.maskRound,
    blurX: maskBlurX,
    blurY: maskBlurY,
    content: request.maskedContent,
    area: request.inpaintArea,
    padding: request.inpaintPadding,
  };
  return {
    resizeMode,
    background: options.img2imgBackgroundColor.toLowerCase(),
    mask: hasMask ? mask : null,
    colorCorrection: options.img2imgColorCorrection,
    size: { width: request.width, height: request.height },
    latentScale: model.description.latentScale,
  };
}

export interface PlannedImages {
  readonly plan: GenerationPlan;
  readonly pictures: StartPictures;
  /** Lines for people. */
  readonly notes: readonly string[];
}

/**
 * Resolves a request that begins with pictures into plain data.
 * @throws UsageError for what the request asks wrongly, FailureError for what the model cannot do
 */
export async function planImageToImage(
  request: SizedImageRequest,
  context: RuntimeContext,
  seeds: RunSeeds,
  tokenizer: ClipTokenizer,
  inputs: RunInputs,
): Promise<PlannedImages> {
  const { options, model } = context;
  if (!model.description.vae.hasEncoder) {
    throw new FailureError(
      'E_MODEL_UNSUPPORTED',
      `${model.path} has no encoder in its VAE, which pictures to begin with need: give one with --vae`,
    );
  }
  if (inputs.mask !== undefined && request.resizeMode === 'latent') {
    throw new UsageError('a mask and the resize mode "latent" exclude each other', 'resizeMode');
  }
  const { denoisingStrength } = request;
  const share = { strength: denoisingStrength, exact: options.img2imgFixSteps };
  const kind = furtherKind(model.description);
  const imageCfgScale = kind === 'edit' ? request.imageCfgScale : null;
  const followsPicture = imageCfgScale !== null && imageCfgScale !== 1;
  const { plan, start: walk } = planGeneration(request, context, seeds, tokenizer, { share, guided: followsPicture });
  if (followsPicture && plan.prompt.parts.length > 1) {
    throw new UsageError(
      'AND does not go with an image scale: leave one of them out, or give --image-cfg-scale 1',
      'prompt',
    );
  }
  const asked = startSettings(request, context, inputs.mask !== undefined);
  const pictures = await beginWith(inputs, asked, context.state.signal);
  const { isBlank, names } = pictures;
  const settings = isBlank ? { ...asked, mask: null } : asked;
  const [encoded = settings.size] = pictures.encoded;
  const start: PlanStart = {
    pictures: [...names.pictures],
    denoisingStrength,
    exactSteps: options.img2imgFixSteps,
    resizeMode: settings.resizeMode,
    background: settings.background,
    mask: settings.mask === null || names.mask === undefined ? null : { picture: names.mask, ...settings.mask },
    encoded: { width: encoded.width, height: encoded.height },
    output: { width: pictures.output.width, height: pictures.output.height },
    tiling: chooseTiling(request.vaeTiling, encoded, settings.latentScale),
    noiseMultiplier: request.initialNoiseMultiplier ?? options.initialNoiseMultiplier,
    extraNoise: options.img2imgExtraNoise,
    timestep: walk?.timestep ?? null,
    noiseInterval: walk?.noiseInterval ?? null,
    colorCorrection: settings.colorCorrection,
    maskWeight: kind === 'inpaint' ? options.inpaintingMaskWeight : null,
    imageCfgScale,
  };
  const notes = isBlank ? ['the mask is black: there is no masked part, and the whole picture is made anew'] : [];
  return { plan: { ...plan, kind: 'img2img', start }, pictures, notes };
}
