/**
 * Ranges and defaults of a request: plain constants, so that the CLI's help shows them without loading a schema.
 * Sizes are pixels; steps are sampler steps; a seed is an integer that a double holds exactly.
 */

export const DEFAULTS = {
  negativePrompt: '',
  steps: 20,
  sampler: 'DPM++ 2M',
  scheduler: 'automatic',
  cfgScale: 7,
  width: 512,
  height: 512,
  seed: -1,
  subseed: -1,
  subseedStrength: 0,
  seedResizeFrom: 0,
  count: 1,
  batchSize: 1,
  clipSkip: 1,
  rng: 'gpu',
  vaeTiling: 'auto',
  grid: false,
  trail: true,
  format: 'png',
  quality: 80,
} as const;

export const LIMITS = {
  /** Characters of one prompt. */
  promptCharacters: 1_000_000,
  /** Token windows of one prompt: 100 × 75 tokens. */
  promptChunks: 100,
  /** Token windows of all that a prompt's schedules make it say. */
  promptWindows: 1000,
  /** Prompts that AND joins. */
  promptParts: 64,
  styles: 100,
  /** Characters of all stages of a prompt's schedules. */
  scheduleCharacters: 20_000_000,
  steps: { min: 1, max: 1000 },
  side: { min: 16, max: 16384, multiple: 8 },
  cfgScale: { min: 0, max: 1000 },
  count: { min: 1, max: 10_000 },
  batchSize: { min: 1, max: 64 },
  clipSkip: { min: 1, max: 12 },
  seed: { min: 0, max: Number.MAX_SAFE_INTEGER },
  quality: { min: 1, max: 100 },
  strength: { min: 0, max: 1 },
  eta: { min: 0, max: 1 },
  sChurn: { min: 0, max: 100 },
  sTmin: { min: 0, max: 10 },
  sNoise: { min: 0, max: 1.1 },
  /** Of one's own schedule. */
  sigma: { max: 1_000_000 },
  threads: { min: 1, max: 1024 },
} as const;

/** Of a run that begins with pictures; the webui's page has these. */
export const IMAGE_DEFAULTS = {
  denoisingStrength: 0.75,
  resizeMode: 'stretch',
  imageCfgScale: 1.5,
  maskBlur: 4,
  maskRound: true,
  maskedContent: 'original',
  inpaintArea: 'whole',
  inpaintPadding: 32,
  invertMask: false,
} as const;
export const IMAGE_LIMITS = {
  /** Pictures that one run begins with. */
  images: 64,
  imageCfgScale: { min: 0, max: 100 },
  maskBlur: { min: 0, max: 256 },
  padding: { min: 0, max: 4096 },
  noiseMultiplier: { min: 0, max: 10 },
} as const;

/** How a picture gets the run's size: stretched, covering it and cut, inside it with its edges drawn out, or as a latent. */
export const RESIZE_MODES = ['stretch', 'crop', 'fill', 'latent'] as const;
export type ResizeMode = (typeof RESIZE_MODES)[number];

/** What stands under a mask at the start: blurred surroundings, what was there, noise, nothing. */
export const MASKED_CONTENTS = ['fill', 'original', 'noise', 'nothing'] as const;
export type MaskedContent = (typeof MASKED_CONTENTS)[number];

/** What a run with a mask works on: the whole picture, or the masked part of it at the run's size. */
export const INPAINT_AREAS = ['whole', 'masked'] as const;
export type InpaintArea = (typeof INPAINT_AREAS)[number];

/** Of a second pass at another size; the webui's page has these. Steps 0: as many as the first. */
export const HIRES_DEFAULTS = {
  scale: 2,
  resize: 0,
  upscaler: 'Latent',
  steps: 0,
  denoisingStrength: 0.7,
} as const;
export const HIRES_LIMITS = {
  scale: { min: 0.1, max: 16 },
  /** A strength of 0 leaves no step to make. */
  denoisingStrength: { min: 0.01, max: 1 },
} as const;

/** Where the noise comes from: the webui's GPU stream (Philox) or torch's CPU generator. */
export const NOISE_NAMES = ['gpu', 'cpu'] as const;
export type NoiseName = (typeof NOISE_NAMES)[number];

/** Kinds of UniPC, by the webui's names. */
export const UNIPC_VARIANTS = ['bh1', 'bh2', 'vary_coeff'] as const;
export type UniPcVariant = (typeof UNIPC_VARIANTS)[number];

/** What a prompt's weights do, by the webui's names: text, nothing, weights with the mean restored, or without. */
export const EMPHASIS_NAMES = ['None', 'Ignore', 'Original', 'No norm'] as const;
export type EmphasisName = (typeof EMPHASIS_NAMES)[number];

/** Whether pictures are encoded and decoded in tiles; auto: large ones. */
export const VAE_TILING_NAMES = ['auto', 'on', 'off'] as const;
export type VaeTilingName = (typeof VAE_TILING_NAMES)[number];

/** File formats of pictures. */
export const FORMAT_NAMES = ['png', 'jpeg', 'webp', 'avif'] as const;
export type ImageFormat = (typeof FORMAT_NAMES)[number];

/** Devices and precisions that have a name here, built or not. */
export const DEVICE_NAMES = ['auto', 'reference', 'cpu', 'cuda'] as const;
export type DeviceChoice = (typeof DEVICE_NAMES)[number];
export const PRECISION_NAMES = ['auto', 'fp32', 'bf16', 'fp16'] as const;
export type PrecisionChoice = (typeof PRECISION_NAMES)[number];

/** Defaults of `sdgen bench`: a step with guidance of the commonest picture. */
export const BENCH_DEFAULTS = { arch: 'sd1', width: 512, height: 512, batch: 2, repeat: 5 } as const;

/** Defaults of a server; the webui's where it has such. */
export const SERVER_DEFAULTS = {
  host: '127.0.0.1',
  port: 7860,
  keepModels: 1,
  grace: 30,
  outputDir: 'outputs',
  maxPixels: 2048 * 2048,
  maxSteps: 150,
  maxImages: 64,
  maxBodyMb: 64,
  maxQueue: 64,
} as const;

/** Of `sdgen upscale`; sides are pixels. */
export const UPSCALE_DEFAULTS = { scale: 2, upscaler: 'Lanczos' } as const;
export const UPSCALE_LIMITS = {
  scale: { min: 0.05, max: 16 },
  side: { min: 1, max: 16384 },
  visibility: { min: 0, max: 1 },
} as const;

/** Of `sdgen worker`; the lease in seconds. */
export const FLEET_DEFAULTS = { concurrency: 1, lease: 30 } as const;
