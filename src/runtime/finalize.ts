import { createHash, randomBytes } from 'node:crypto';
import { shortHash } from '../checkpoints/hash.js';
import { NUMERICS_VERSION, VERSION } from '../context/version.js';
import type { RunHooks } from '../extensions/run-hooks.js';
import { encodePicture } from '../image/codec.js';
import { requireEncodable } from '../image/formats.js';
import { makeGrid } from '../image/grid.js';
import { formatInfotext, type InfotextValue } from '../image/infotext.js';
import type { GeneratedImage } from '../pipeline/execute.js';
import { encodeRecord, type PictureRecord, planOfPicture } from '../pipeline/picture-record.js';
import { type GenerationPlan, hashPlan, parsePlan, passesOf, pictureSize } from '../pipeline/plan.js';
import type { PlanStart } from '../pipeline/plan-start.js';
import { tilingToTell } from '../pipeline/tiling.js';
import { findSampler } from '../sampling/samplers.js';
import { hiresNotes } from './hires-notes.js';
import type { Metrics, PhaseTimes } from './metrics.js';
import type { EncodedPicture, PictureSink } from './picture-sink.js';
import type { OutputOptions, PreparedRun } from './prepare.js';
import type { ProfileRow } from './profile.js';

/** A picture with the text that its file carries as `parameters`, and the record beside it. */
export interface DescribedImage extends GeneratedImage {
  readonly infotext: string;
  /** Undefined where the picture has no trail. */
  readonly record: PictureRecord | undefined;
}

export interface FinishedImage extends DescribedImage {
  /** Where it was saved, and the SHA-256 of that file; undefined without a sink. */
  readonly path: string | undefined;
  readonly fileSha256: string | undefined;
}

export interface GenerationResult {
  readonly runId: string;
  readonly prepared: PreparedRun;
  readonly images: readonly FinishedImage[];
  readonly gridPath: string | undefined;
  readonly times: PhaseTimes;
  /** Time and work by kind of op, slowest first; undefined when it was not asked for. */
  readonly profile: readonly ProfileRow[] | undefined;
}

interface FinalizeInput {
  readonly id: string;
  readonly prepared: PreparedRun;
  readonly images: readonly GeneratedImage[];
  readonly sink: PictureSink | undefined;
  readonly metrics: Metrics;
  readonly hooks: RunHooks;
  readonly profile: readonly ProfileRow[] | undefined;
}

/** k-diffusion's own defaults, which are not written. */
const SAMPLER_DEFAULTS = {
  sChurn: 0,
  sTmin: 0,
  sTmax: Number.MAX_VALUE,
  sNoise: 1,
  unipcVariant: 'bh1',
  unipcOrder: 3,
} as const;

/** Whether any text that is encoded has a bracket: only then does the emphasis mode show. */
function hasBrackets(plan: GenerationPlan): boolean {
  const parts = passesOf(plan).flatMap(({ prompt, negativePrompt }) => [...prompt.parts, negativePrompt.part]);
  return parts.some((part) => part?.texts.some(({ text }) => /[([]/.test(text)));
}

const RESIZE_NOTES = {
  stretch: undefined,
  crop: 'Crop and resize',
  fill: 'Resize and fill',
  latent: 'Just resize (latent upscale)',
} as const;
const CONTENT_NOTES = { fill: 'fill', original: undefined, noise: 'latent noise', nothing: 'latent nothing' } as const;

/** What a picture says of the one that it began with: the webui's keys, and those without which it is not made again. */
function startExtras(start: PlanStart): [string, InfotextValue][] {
  const { mask, resizeMode, exactSteps, background, pictures, noiseMultiplier, extraNoise } = start;
  const masked = mask?.area === 'masked' ? mask : undefined;
  return [
    ['Mask mode', mask?.invert ? 'Inpaint not masked' : undefined],
    ['Mask blur', mask?.blurX || undefined],
    ['Mask blur y', mask && mask.blurY !== mask.blurX ? mask.blurY : undefined],
    ['Soft mask', mask && !mask.round ? true : undefined],
    ['Inpaint area', masked && 'Only masked'],
    ['Masked area padding', masked?.padding],
    ['Masked content', mask === null ? undefined : CONTENT_NOTES[mask.content]],
    ['Noise multiplier', noiseMultiplier === 1 ? undefined : noiseMultiplier],
    ['Extra noise', extraNoise || undefined],
    ['Resize mode', RESIZE_NOTES[resizeMode]],
    ['Exact steps', exactSteps ? true : undefined],
    [
      'Background',
      background !== '#ffffff' && pictures.some(({ channels }) => channels === 4) ? background : undefined,
    ],
    ['Color correction', start.colorCorrection ? true : undefined],
  ];
}

/** The same as an object of what is written. */
export function startParameters(start: PlanStart): Record<string, InfotextValue> {
  return Object.fromEntries(startExtras(start).filter(([, value]) => value !== undefined && value !== null));
}

function extras(plan: GenerationPlan, extensions: readonly string[]): [string, InfotextValue][] {
  const { sampler } = plan;
  const { walk, eta } = findSampler(sampler.id);
  const unless = <K extends keyof typeof SAMPLER_DEFAULTS>(key: K): InfotextValue =>
    sampler[key] === SAMPLER_DEFAULTS[key] ? undefined : sampler[key];
  return [
    ...hiresNotes(plan),
    ...(plan.start === null ? [] : startExtras(plan.start)),
    ...sampler.schedulerNotes.map(([key, value]): [string, InfotextValue] => [key, value]),
    ['SGM noise multiplier', plan.startWithSignal ? true : undefined],
    ['Sigmas', sampler.scheduler === 'own' ? plan.sigmas.join(', ') : undefined],
    [walk === 'timesteps' ? 'Eta DDIM' : 'Eta', sampler.eta === eta ? undefined : sampler.eta],
    ['Sigma churn', unless('sChurn')],
    ['Sigma tmin', unless('sTmin')],
    ['Sigma tmax', unless('sTmax')],
    ['Sigma noise', unless('sNoise')],
    ['UniPC variant', sampler.id === 'unipc' ? unless('unipcVariant') : undefined],
    ['UniPC order', sampler.id === 'unipc' ? unless('unipcOrder') : undefined],
    ['Emphasis', hasBrackets(plan) && plan.emphasis !== 'Original' ? plan.emphasis : undefined],
    ['Old prompt editing timelines', plan.oldPromptSchedules ? true : undefined],
    ['Noise Schedule', plan.model.zeroTerminalSnr ? 'Zero Terminal SNR' : undefined],
    ['Device', plan.device.name],
    ['Precision', plan.device.precision],
    ['VAE tiling', tilingToTell(plan)],
    ['Extensions', extensions.length === 0 ? undefined : extensions.join(', ')],
  ];
}

/** What a picture says of itself; nothing that depends on threads, time or place. */
export function describePicture(
  plan: GenerationPlan,
  image: Pick<GeneratedImage, 'index' | 'seed'>,
  extensions: readonly string[] = [],
): string {
  const { variation, resizeFrom, sampler } = plan;
  return formatInfotext({
    prompt: plan.prompt.text,
    negativePrompt: plan.negativePrompt.text,
    steps: plan.steps,
    sampler: plan.sampler.name,
    scheduleType: plan.sampler.schedulerLabel ?? undefined,
    cfgScale: plan.cfgScale,
    seed: image.seed,
    width: plan.width,
    height: plan.height,
    modelHash: shortHash(plan.model.sha256),
    model: plan.model.name,
    vaeHash: plan.model.vae === null ? undefined : shortHash(plan.model.vae.sha256),
    vae: plan.model.vae?.name,
    variationSeed: variation?.batches.flat()[image.index],
    variationSeedStrength: variation?.strength,
    seedResizeFrom: resizeFrom === null ? undefined : `${resizeFrom.width}x${resizeFrom.height}`,
    imageCfgScale: plan.start?.imageCfgScale ?? undefined,
    denoisingStrength: plan.start?.denoisingStrength ?? plan.hires?.denoisingStrength,
    conditionalMaskWeight: plan.start?.maskWeight ?? undefined,
    clipSkip: plan.clipSkip,
    ensd: findSampler(sampler.id).usesEnsd && sampler.eta !== 0 ? plan.seedDelta : undefined,
    rng: plan.noiseSource === 'torch-cpu' ? 'CPU' : 'GPU',
    extras: extras(plan, extensions),
    version: VERSION,
  });
}

/** The plan with the device that it really ran on; at fp32 that may be any. @throws FailureError E_PLAN */
function asMadeOn(plan: GenerationPlan, { name, precision }: NonNullable<GeneratedImage['madeOn']>): GenerationPlan {
  if (name === plan.device.name && precision === plan.device.precision) return plan;
  return parsePlan({ ...plan, device: { name, precision } });
}

/** A picture as it is told of and written. */
export function describeImage(
  { plan: asked, planSha256, context, extensions }: PreparedRun,
  image: GeneratedImage,
): DescribedImage {
  const { madeOn } = image;
  const plan = madeOn === undefined ? asked : asMadeOn(asked, madeOn);
  const own = planOfPicture(plan, image.index);
  const { trail, pixelSha256, index } = image;
  const record = trail && {
    sdgen: VERSION,
    numerics: NUMERICS_VERSION,
    isa: madeOn?.isa ?? context.device.isa,
    run: { planSha256, index },
    planSha256: hashPlan(own),
    plan: own,
    pixelSha256,
    trail,
  };
  return { ...image, infotext: describePicture(plan, image, extensions), record };
}

type FileOptions = Pick<OutputOptions, 'format' | 'quality'>;

/** The file of a picture. @throws FailureError as `encodePicture` and `encodeRecord` */
export function encodeDescribed(image: DescribedImage, { format, quality }: FileOptions): Promise<Uint8Array> {
  const { pixels: rgb, width, height, infotext: parameters } = image;
  const record = image.record && encodeRecord({ ...image.record, file: { format, quality } });
  return encodePicture({ rgb, width, height }, { format, quality, parameters, record });
}

/** @throws UsageError when a picture cannot be written in the format */
export function requireFile(image: DescribedImage, { format, quality }: FileOptions): void {
  const record = image.record && encodeRecord({ ...image.record, file: { format, quality } });
  requireEncodable(format, image, image.infotext, record?.length);
}

/** As `requireFile`, for pictures that are not made yet. @throws UsageError */
export function requireFiles(prepared: PreparedRun): void {
  const { plan, output, sheet } = prepared;
  const { width, height } = sheet ?? pictureSize(plan);
  // As long as a real trail: hashes cannot be deflated.
  const passes = passesOf(plan).map(({ sigmas }) => ({
    steps: sigmas.map((_, step) => step),
    hashes: sigmas.map(() => randomBytes(8).toString('hex')),
  }));
  const trail = output.trail ? passes : undefined;
  const none = {
    latentSha256: '',
    pixelSha256: '0'.repeat(64),
    pixels: new Uint8Array(0),
    retriedInFp32: false,
    trail,
  };
  const image = { index: 0, seed: plan.batches.flat()[0] ?? 0, width, height, ...none };
  requireFile(describeImage(prepared, image), output);
}

async function encodeAll(images: readonly DescribedImage[], options: FileOptions): Promise<EncodedPicture[]> {
  const encoded: EncodedPicture[] = [];
  for (const image of images) {
    const data = await encodeDescribed(image, options);
    encoded.push({ index: image.index, seed: image.seed, format: options.format, data });
  }
  return encoded;
}

async function encodeGrid(
  images: readonly GeneratedImage[],
  infotext: string,
  { format, quality }: FileOptions,
  hooks: RunHooks,
): Promise<Uint8Array> {
  const sheet = makeGrid(images.map(({ pixels, width, height }) => ({ data: pixels, width, height })));
  const { width, height, data: pixels } = sheet;
  const rgb = hooks.grid({ images: images.length, width, height, pixels, infotext });
  const parameters = infotext;
  return encodePicture({ rgb, width, height }, { format, quality, parameters });
}

/**
 * Infotext, files, saving, metrics.
 * @throws FailureError from the sink; the abort's reason when the run is interrupted before or while saving
 */
export async function finalizeRun(input: FinalizeInput): Promise<GenerationResult> {
  const { id, prepared, images, sink, metrics, profile, hooks } = input;
  const { output, context } = prepared;
  const described = images.map((image) => describeImage(prepared, image));
  let hashes: string[] = [];
  const saved = await metrics.time('save', async () => {
    if (sink === undefined) return undefined;
    const pictures = await encodeAll(
      described.map((image) => hooks.beforeSaved(image)),
      output,
    );
    const wantsGrid = output.grid && images.length > 0;
    const grid = wantsGrid ? await encodeGrid(images, described[0]?.infotext ?? '', output, hooks) : undefined;
    hashes = pictures.map(({ data }) => createHash('sha256').update(data).digest('hex'));
    context.state.signal.throwIfAborted();
    return sink.save(pictures, grid, context.state.signal);
  });
  for (const [i, image] of described.entries()) {
    if (saved !== undefined) hooks.saved(image.index, saved.paths[i], hashes[i] ?? '');
  }
  return {
    runId: id,
    prepared,
    images: described.map((image, i) => ({
      ...image,
      path: saved?.paths[i],
      fileSha256: hashes[i],
    })),
    gridPath: saved?.gridPath,
    times: metrics.times(),
    profile,
  };
}
