import { UNIPC_VARIANTS } from '../request/limits.js';
import { toNumber } from '../request/number-text.js';
import type { PictureParameters } from '../runtime/picture-parameters.js';

/** What a picture's parameters give a request, and what of them has no place in one. */
export interface TakenOver {
  /** Fields of a `TextToImageInput`, and options. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** A model's name; never a path, which a stranger's picture must not choose. */
  readonly model: string | undefined;
  /** A VAE's file name, or "none" where the picture was surely made with the model's own. */
  readonly vae: string | undefined;
  /** "Key: value" of what counts for the pixels and cannot be taken over. */
  readonly left: readonly string[];
}

const NOISES: Readonly<Record<string, string>> = { GPU: 'gpu', NV: 'gpu', CPU: 'cpu' };

const text = (value: string): string => value;
const number = (value: string): number | undefined => {
  const read = toNumber(value);
  return typeof read === 'number' ? read : undefined;
};
/** 0 is what is filled in where nothing is written. */
const bent = (value: string): number | undefined => number(value) || undefined;
const isTrue = (value: string): true | undefined => (value === 'True' ? true : undefined);
const list = (value: string): unknown => value.split(/[\s,]+/).map(toNumber);
const noise = (value: string): string | undefined => (Object.hasOwn(NOISES, value) ? NOISES[value] : undefined);

const SKIP_TYPES = new Set(['time_uniform', 'time_quadratic', 'logSNR']);

const READERS: readonly (readonly [key: string, field: string, read: (value: string) => unknown])[] = [
  ['Steps', 'steps', number],
  ['Sampler', 'sampler', text],
  ['Schedule type', 'scheduler', text],
  ['CFG scale', 'cfgScale', number],
  ['Seed', 'seed', number],
  ['Size-1', 'width', number],
  ['Size-2', 'height', number],
  ['Variation seed', 'subseed', number],
  ['Variation seed strength', 'subseedStrength', number],
  ['Seed resize from-1', 'seedResizeFromW', number],
  ['Seed resize from-2', 'seedResizeFromH', number],
  ['Clip skip', 'clipSkip', number],
  ['ENSD', 'etaNoiseSeedDelta', number],
  ['RNG', 'rng', noise],
  ['Precision', 'precision', (value) => (/^(fp32|bf16|fp16)$/.test(value) ? value : undefined)],
  ['VAE tiling', 'vaeTiling', (value) => (value === 'on' || value === 'off' ? value : undefined)],
  ['Sigmas', 'sigmas', list],
  ['Schedule min sigma', 'sigmaMin', bent],
  ['Schedule max sigma', 'sigmaMax', bent],
  ['Schedule rho', 'rho', bent],
  ['Beta schedule alpha', 'betaDistAlpha', number],
  ['Beta schedule beta', 'betaDistBeta', number],
  ['Discard penultimate sigma', 'alwaysDiscardNextToLastSigma', isTrue],
  ['Old karras scheduler sigmas', 'useOldKarrasSchedulerSigmas', isTrue],
  ['SGM noise multiplier', 'sgmNoiseMultiplier', isTrue],
  ['Eta', 'eta', number],
  ['Eta DDIM', 'eta', number],
  ['Sigma churn', 'sChurn', number],
  ['Sigma tmin', 'sTmin', number],
  ['Sigma tmax', 'sTmax', number],
  ['Sigma noise', 'sNoise', number],
  ['UniPC variant', 'uniPcVariant', (value) => UNIPC_VARIANTS.find((one) => one === value)],
  ['UniPC skip type', 'uniPcSkipType', (value) => (SKIP_TYPES.has(value) ? value : undefined)],
  ['UniPC order', 'uniPcOrder', number],
  ['Emphasis', 'emphasis', text],
  ['Old prompt editing timelines', 'oldPromptSchedules', (value) => (value === 'True' ? true : undefined)],
];

const RESIZE_MODES: Readonly<Record<string, string>> = {
  'Crop and resize': 'crop',
  'Resize and fill': 'fill',
  'Just resize (latent upscale)': 'latent',
};
const CONTENTS: Readonly<Record<string, string>> = {
  fill: 'fill',
  original: 'original',
  'latent noise': 'noise',
  'latent nothing': 'nothing',
};
const named = (names: Readonly<Record<string, string>>) => (value: string) =>
  Object.hasOwn(names, value) ? names[value] : undefined;
const only =
  <T>(wanted: string, meaning: T) =>
  (value: string) =>
    value === wanted ? meaning : undefined;

const unless = (same: string) => (value: string) => (value === same ? undefined : value);
/** "" is what is filled in. */
const words = (value: string): string | undefined => value || undefined;

/** What counts only for a run with a second pass. */
const HIRES_READERS: typeof READERS = [
  ['Denoising strength', 'hiresDenoisingStrength', number],
  ['Hires upscale', 'hiresScale', number],
  ['Hires resize-1', 'hiresResizeX', bent],
  ['Hires resize-2', 'hiresResizeY', bent],
  ['Hires steps', 'hiresSteps', bent],
  ['Hires upscaler', 'hiresUpscaler', text],
  ['Hires sampler', 'hiresSampler', unless('Use same sampler')],
  ['Hires schedule type', 'hiresScheduler', unless('Use same scheduler')],
  ['Hires CFG Scale', 'hiresCfgScale', number],
  ['Hires prompt', 'hiresPrompt', words],
  ['Hires negative prompt', 'hiresNegativePrompt', words],
  ['Extra noise', 'img2imgExtraNoise', number],
];

/** The readers of one kind of run. */
function readersFor({ parameters }: PictureParameters, hasPictures: boolean) {
  if (hasPictures) return { readers: [...READERS, ...IMAGE_READERS], hires: false };
  const hires = ['Hires upscale', 'Hires resize-1', 'Hires upscaler'].some((key) => parameters.has(key));
  return { readers: hires ? [...READERS, ...HIRES_READERS] : READERS, hires };
}

/** What counts only for a run that begins with pictures. */
const IMAGE_READERS: typeof READERS = [
  ['Denoising strength', 'denoisingStrength', number],
  ['Image CFG scale', 'imageCfgScale', number],
  ['Conditional mask weight', 'inpaintingMaskWeight', number],
  ['Mask mode', 'invertMask', only('Inpaint not masked', true)],
  ['Mask blur', 'maskBlur', number],
  ['Mask blur y', 'maskBlurY', number],
  ['Soft mask', 'softMask', isTrue],
  ['Inpaint area', 'inpaintArea', only('Only masked', 'masked')],
  ['Masked area padding', 'inpaintPadding', number],
  ['Masked content', 'maskedContent', named(CONTENTS)],
  ['Noise multiplier', 'initialNoiseMultiplier', number],
  ['Extra noise', 'img2imgExtraNoise', number],
  ['Resize mode', 'resizeMode', named(RESIZE_MODES)],
  ['Exact steps', 'img2imgFixSteps', isTrue],
  ['Background', 'img2imgBackgroundColor', text],
  ['Color correction', 'img2imgColorCorrection', isTrue],
];

/** Keys that say who and where, not what. */
const FACTS = new Set(['Model', 'Model hash', 'VAE', 'VAE hash', 'Version', 'User', 'Device']);
/** Keys that older webuis' behaviour adds to those that are written. */
const QUIRKS = ['Old prompt editing timelines', 'Pad conds v0', 'Downcast alphas_cumprod'];
/** Values that say that nothing was done. */
const HARMLESS: Readonly<Record<string, string>> = {
  'VAE Encoder': 'Full',
  'VAE Decoder': 'Full',
};

/** A name and no path. */
const nameIn = (text = ''): string | undefined => (/^[^/\\\0]{1,200}$/.test(text) ? text : undefined);

/** Old webuis name no VAE even where they use one; this program always does. */
function vaeOf({ parameters }: PictureParameters): string | undefined {
  const isOurs = parameters.get('Version')?.startsWith('sdgen ') === true;
  return nameIn(parameters.get('VAE')) ?? (isOurs ? 'none' : undefined);
}

/** @param hasPictures whether the run begins with pictures of its own */
export function takeOver(picture: PictureParameters, hasPictures = false): TakenOver {
  const { complete, parameters } = picture;
  const fields: Record<string, unknown> = { prompt: picture.prompt, negativePrompt: picture.negativePrompt };
  const done = new Set(FACTS);
  const { readers, hires } = readersFor(picture, hasPictures);
  if (hires) fields.hires = true;
  for (const [key, field, read] of readers) {
    const value = complete.get(key);
    const taken = value === undefined ? undefined : read(value);
    if (taken === undefined) continue;
    fields[field] = taken;
    done.add(key);
  }
  const left = [...parameters.keys(), ...QUIRKS.filter((key) => complete.has(key))]
    .filter((key) => !done.has(key) && HARMLESS[key] !== complete.get(key))
    .map((key) => `${key}: ${complete.get(key)}`);
  return { fields, model: nameIn(parameters.get('Model')), vae: vaeOf(picture), left: [...new Set(left)] };
}
