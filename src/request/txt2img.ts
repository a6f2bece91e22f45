import { z } from 'zod';
import { type FieldNaming, parseWith } from './describe.js';
import { hiresShape } from './hires.js';
import { DEFAULTS, FORMAT_NAMES, LIMITS, NOISE_NAMES, VAE_TILING_NAMES } from './limits.js';

function whole(range: { readonly min: number; readonly max: number }, what = 'a whole number') {
  return z.number().int().min(range.min).max(range.max).describe(`${what} from ${range.min} to ${range.max}`);
}

function side() {
  const { min, max, multiple } = LIMITS.side;
  return z
    .number()
    .int()
    .min(min)
    .max(max)
    .multipleOf(multiple)
    .describe(`a multiple of ${multiple} from ${min} to ${max}`);
}

function text(what: string) {
  return z
    .string()
    .max(LIMITS.promptCharacters, { error: `may have at most ${LIMITS.promptCharacters} characters` })
    .describe(what);
}

function number(range: { readonly min: number; readonly max: number }) {
  return z.number().min(range.min).max(range.max).describe(`a number from ${range.min} to ${range.max}`);
}

function seed(what: string) {
  const { max } = LIMITS.seed;
  return z.number().int().min(-1).max(max).describe(`a whole number from 0 to ${max}, or -1 for ${what}`);
}

/** Pixels along a side of the picture whose noise is to be in the middle. */
function resizeSide() {
  const { max } = LIMITS.side;
  return z
    .union([z.literal(-1), z.literal(0), z.number().int().min(8).max(max)])
    .describe(`a whole number from 8 to ${max}, or 0 for none`)
    .default(DEFAULTS.seedResizeFrom);
}

function ownSigmas() {
  const rule = `2 to ${LIMITS.steps.max + 1} numbers above 0 that fall; the last may be 0`;
  const falls = (values: readonly number[]): boolean =>
    values.every((value, i) => (i === 0 ? value > 0 : Math.fround(value) < Math.fround(values[i - 1] ?? 0)));
  return z
    .array(z.number().min(0).max(LIMITS.sigma.max))
    .min(2)
    .max(LIMITS.steps.max + 1)
    .refine(falls, { error: `must be ${rule}` })
    .describe(rule)
    .optional();
}

/** What every request for pictures has. Names of samplers and schedulers are resolved by their own tables. */
export const pictureRequestSchema = z.strictObject({
  prompt: text('text; may be empty'),
  negativePrompt: text('text; may be empty').default(DEFAULTS.negativePrompt),
  /** Names in a styles file, applied in their order. */
  styles: z.array(z.string().min(1)).max(LIMITS.styles).describe(`up to ${LIMITS.styles} names of styles`).default([]),
  steps: whole(LIMITS.steps).default(DEFAULTS.steps),
  sampler: z.string().min(1).describe("a sampler's name").default(DEFAULTS.sampler),
  scheduler: z.string().min(1).describe("a scheduler's name").default(DEFAULTS.scheduler),
  cfgScale: z
    .number()
    .min(LIMITS.cfgScale.min)
    .max(LIMITS.cfgScale.max)
    .describe(`a number from ${LIMITS.cfgScale.min} to ${LIMITS.cfgScale.max}`)
    .default(DEFAULTS.cfgScale),
  width: side().default(DEFAULTS.width),
  height: side().default(DEFAULTS.height),
  seed: seed('a random one').default(DEFAULTS.seed),
  /** The variation's seed: at strength 0 it has no effect; else all pictures share `seed`, and this one counts up. */
  subseed: seed('a random one').default(DEFAULTS.subseed),
  subseedStrength: number(LIMITS.strength).default(DEFAULTS.subseedStrength),
  /** Both or neither. */
  seedResizeFromW: resizeSide(),
  seedResizeFromH: resizeSide(),
  /** Where absent, the options of the same names count; for DDIM `etaDdim` in eta's place. */
  eta: number(LIMITS.eta).optional(),
  sChurn: number(LIMITS.sChurn).optional(),
  sTmin: number(LIMITS.sTmin).optional(),
  sTmax: z.number().min(0).describe('a number of 0 or more; 0 is no limit').optional(),
  sNoise: number(LIMITS.sNoise).optional(),
  /** A schedule of one's own, instead of `steps` and `scheduler`. */
  sigmas: ownSigmas(),
  count: whole(LIMITS.count).default(DEFAULTS.count),
  batchSize: whole(LIMITS.batchSize).default(DEFAULTS.batchSize),
  clipSkip: whole(LIMITS.clipSkip).default(DEFAULTS.clipSkip),
  rng: z
    .enum(NOISE_NAMES)
    .describe(`one of ${NOISE_NAMES.join(', ')}`)
    .default(DEFAULTS.rng),
  vaeTiling: z
    .enum(VAE_TILING_NAMES)
    .describe(`one of ${VAE_TILING_NAMES.join(', ')}`)
    .default(DEFAULTS.vaeTiling),
  grid: z.boolean().describe('true or false').default(DEFAULTS.grid),
  /** Whether files carry the plan and a hash of the latent at every step. */
  trail: z.boolean().describe('true or false').default(DEFAULTS.trail),
  format: z
    .enum(FORMAT_NAMES)
    .describe(`one of ${FORMAT_NAMES.join(', ')}`)
    .default(DEFAULTS.format),
  /** Of the formats that lose: all but PNG. */
  quality: whole(LIMITS.quality).default(DEFAULTS.quality),
});

/** One request for pictures from text: units, ranges and defaults for the command line, batches and HTTP alike. */
export const textToImageSchema = pictureRequestSchema.extend(hiresShape);

export type PictureRequest = z.output<typeof pictureRequestSchema>;
/** A request with every default filled in. */
export type TextToImageRequest = z.output<typeof textToImageSchema>;
/** Its sampling steps: those of its own sigmas, where it has such. */
export function samplingSteps({ steps, sigmas }: Pick<PictureRequest, 'steps' | 'sigmas'>): number {
  return sigmas === undefined ? steps : sigmas.length - 1;
}

/** What a caller writes: only `prompt` is needed. */
export type TextToImageInput = z.input<typeof textToImageSchema>;

/** @throws UsageError naming the field, what was given and what is allowed. */
export function parseTextToImage(input: unknown, naming?: FieldNaming): TextToImageRequest {
  return Object.freeze(parseWith(textToImageSchema, input, naming));
}
