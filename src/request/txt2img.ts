import { z } from 'zod';
import { type FieldNaming, parseWith } from './describe.js';
import { DEFAULTS, FORMAT_NAMES, LIMITS, NOISE_NAMES } from './limits.js';

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

/**
 * One request for pictures from text: units, ranges and defaults for the command line, batches and HTTP alike.
 * Names of samplers and schedulers are resolved by their own tables.
 */
export const textToImageSchema = z.strictObject({
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
  seed: z
    .number()
    .int()
    .min(-1)
    .max(LIMITS.seed.max)
    .describe(`a whole number from 0 to ${LIMITS.seed.max}, or -1 for a random one`)
    .default(DEFAULTS.seed),
  count: whole(LIMITS.count).default(DEFAULTS.count),
  batchSize: whole(LIMITS.batchSize).default(DEFAULTS.batchSize),
  clipSkip: whole(LIMITS.clipSkip).default(DEFAULTS.clipSkip),
  rng: z
    .enum(NOISE_NAMES)
    .describe(`one of ${NOISE_NAMES.join(', ')}`)
    .default(DEFAULTS.rng),
  grid: z.boolean().describe('true or false').default(DEFAULTS.grid),
  format: z
    .enum(FORMAT_NAMES)
    .describe(`one of ${FORMAT_NAMES.join(', ')}`)
    .default(DEFAULTS.format),
  /** Of the formats that lose: all but PNG. */
  quality: whole(LIMITS.quality).default(DEFAULTS.quality),
});

/** A request with every default filled in. */
export type TextToImageRequest = z.output<typeof textToImageSchema>;
/** What a caller writes: only `prompt` is needed. */
export type TextToImageInput = z.input<typeof textToImageSchema>;

/** @throws UsageError naming the field, what was given and what is allowed. */
export function parseTextToImage(input: unknown, naming?: FieldNaming): TextToImageRequest {
  return Object.freeze(parseWith(textToImageSchema, input, naming));
}
