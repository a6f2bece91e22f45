import { createHash } from 'node:crypto';
import { z } from 'zod';
import { FailureError } from '../request/errors.js';
import { EMPHASIS_NAMES, LIMITS } from '../request/limits.js';
import { startSchema } from './plan-start.js';

const FORMAT = 'sdgen-plan-3';

/** A number that float32 holds exactly: what is written is what the engine receives. */
const float32 = z.number().refine((value) => Object.is(Math.fround(value), value), { error: 'not a float32 value' });
const tokenId = z.number().int().min(0).max(0x7fffffff);
const windowLength = z.number().int().min(1).max(4096);
const side = z.number().int().min(1).max(LIMITS.side.max);

/** One window of the text tower: token ids with BOS, EOS and fill, and the weight of each. */
const chunkSchema = z
  .strictObject({ tokens: z.array(tokenId), weights: z.array(float32) })
  .refine((chunk) => chunk.tokens.length === chunk.weights.length, { error: 'as many weights as tokens are needed' });

const textSchema = z.strictObject({
  text: z.string(),
  chunks: z.array(chunkSchema).min(1).max(LIMITS.promptChunks),
});

/** One of the prompts that AND joins: its distinct texts, and which of them holds up to and with model call `until`. */
const partSchema = z
  .strictObject({
    /** In the guidance: D = Du + Σ weight·cfgScale·(Dc − Du). */
    weight: z.number(),
    texts: z.array(textSchema).min(1).max(LIMITS.promptWindows),
    stages: z
      .array(z.strictObject({ until: z.number().int().min(0), text: z.number().int().min(0) }))
      .min(1)
      .max(2 * LIMITS.steps.max + 1),
  })
  .refine(({ texts }) => texts.every(({ chunks }) => chunks.length === texts[0]?.chunks.length), {
    error: 'all texts of a part need as many chunks',
  })
  .refine(({ texts, stages }) => stages.every(({ text }) => text < texts.length), {
    error: 'a stage names a text that is not there',
  });

const samplerSchema = z.strictObject({
  /** The native engine's id. */
  id: z.string(),
  name: z.string(),
  /** The schedule that was used, and what a picture's parameters call it; null where they do not name one. */
  scheduler: z.string(),
  schedulerLabel: z.string().nullable(),
  /** Settings of the schedule that had an effect, by their names in a picture's parameters. */
  schedulerNotes: z.array(z.tuple([z.string(), z.union([z.number(), z.boolean(), z.string()])])),
  eta: z.number(),
  sChurn: z.number(),
  sTmin: z.number(),
  sTmax: z.number(),
  sNoise: z.number(),
  unipcVariant: z.enum(['bh1', 'bh2']),
  unipcOrder: z.number().int().min(1).max(3),
});

/** Seeds of pictures, batch by batch. */
const seedsSchema = z
  .array(z.array(z.number().int().min(0).max(LIMITS.seed.max)).min(1).max(LIMITS.batchSize.max))
  .min(1)
  .max(LIMITS.count.max * LIMITS.batchSize.max);

/**
 * A fully resolved run as plain JSON data: everything that decides the pixels and nothing else (no thread count, no
 * paths, no times). The same plan on the same model and device gives the same bytes. Sizes are pixels; sigmas and
 * weights are float32 values, never their recipe.
 */
export const planSchema = z.strictObject({
  format: z.literal(FORMAT),
  kind: z.enum(['txt2img', 'img2img']),
  model: z.strictObject({
    name: z.string(),
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    family: z.string(),
    /** "probe": the network itself is asked, which gives the same answer for the same model. */
    predictionType: z.enum(['epsilon', 'v_prediction', 'probe']),
    /** The VAE that stands in the place of the model's own. */
    vae: z.strictObject({ name: z.string(), sha256: z.string().regex(/^[0-9a-f]{64}$/) }).nullable(),
    zeroTerminalSnr: z.boolean(),
    scaleFactor: z.number(),
    textHeads: z.number().int(),
    /** By level. */
    unetHeads: z.array(z.number().int()),
  }),
  device: z.strictObject({ name: z.string(), precision: z.enum(['fp32', 'bf16', 'fp16']) }),
  /** How the picture is cut for decoding, in latent cells. */
  tiling: z.union([z.literal('none'), z.strictObject({ tile: side, overlap: side })]),
  width: side,
  height: side,
  latentWidth: side,
  latentHeight: side,
  prompt: z.strictObject({ text: z.string(), parts: z.array(partSchema).min(1).max(LIMITS.promptParts) }),
  /** Its part is null when it is never evaluated (one part, and weight times cfgScale exactly 1). */
  negativePrompt: z.strictObject({ text: z.string(), part: partSchema.nullable() }),
  /** What weights do to the text features; "None" and "Ignore" left no weights. */
  emphasis: z.enum(EMPHASIS_NAMES),
  /** Whether the schedules were read as the webui before 1.6 reads them, and differ for it. */
  oldPromptSchedules: z.boolean(),
  textWindow: windowLength,
  clipSkip: z.number().int().min(LIMITS.clipSkip.min).max(LIMITS.clipSkip.max),
  cfgScale: z.number().min(LIMITS.cfgScale.min).max(LIMITS.cfgScale.max),
  sampler: samplerSchema,
  steps: z.number().int().min(LIMITS.steps.min).max(LIMITS.steps.max),
  sigmas: z
    .array(float32.min(0))
    .min(2)
    .max(LIMITS.steps.max + 4),
  /** Of a sampler that walks timesteps, whose sigmas are then only told; else null. */
  timesteps: z.array(float32.min(0)).nullable(),
  /** The start is sqrt(1 + sigma²) times the noise. */
  startWithSignal: z.boolean(),
  wholeTimesteps: z.boolean(),
  noiseSource: z.enum(['philox', 'torch-cpu']),
  /** Added to a picture's seed for the noise after the start's; 0: its stream goes on. */
  seedDelta: z.number().int(),
  /** Turns each picture's start towards the noise of another seed. */
  variation: z.strictObject({ strength: z.number().min(0).max(1), batches: seedsSchema }).nullable(),
  /** Size in pixels of the picture whose noise is in the middle of the start. */
  resizeFrom: z.strictObject({ width: side, height: side }).nullable(),
  /** What the run begins with besides noise; null: nothing. */
  start: startSchema.nullable(),
  batches: seedsSchema,
});

export type GenerationPlan = Readonly<z.output<typeof planSchema>>;
export type PlanPart = GenerationPlan['prompt']['parts'][number];
export const PLAN_FORMAT = FORMAT;

/**
 * Reads a plan from untrusted data.
 * @throws FailureError E_PLAN naming the place
 */
export function parsePlan(data: unknown): GenerationPlan {
  const result = planSchema.safeParse(data);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const place = issue === undefined || issue.path.length === 0 ? 'the plan' : `the plan's ${issue.path.join('.')}`;
  throw new FailureError('E_PLAN', `${place} is not valid: ${issue?.message ?? 'unknown'}`);
}

/** JSON with sorted keys and no spaces: one text for one value. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value)
    .filter(([, item]) => item !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`).join(',')}}`;
}

/** SHA-256 of the plan's canonical JSON, in hex. */
export function hashPlan(plan: GenerationPlan): string {
  return createHash('sha256').update(canonicalJson(plan)).digest('hex');
}

/** The most chunks that any text of these parts has; 0 without parts. */
export function chunkCount(parts: readonly (PlanPart | null)[]): number {
  return Math.max(0, ...parts.map((part) => part?.texts[0]?.chunks.length ?? 0));
}

/** Bytes of all text features, twice: they wait in JavaScript and in the engine. */
export function textBytes({ prompt, negativePrompt, textWindow }: GenerationPlan, width: number): number {
  const parts = negativePrompt.part === null ? prompt.parts : [...prompt.parts, negativePrompt.part];
  const windows = parts.reduce((sum, part) => sum + part.texts.length * chunkCount([part]), 0);
  return 2 * Float32Array.BYTES_PER_ELEMENT * windows * textWindow * width;
}

/** Size of the finished pictures in pixels. */
export function pictureSize({ start, width, height }: GenerationPlan): {
  readonly width: number;
  readonly height: number;
} {
  return start?.output ?? { width, height };
}

/** Images of the whole run. */
export function imageCount(plan: GenerationPlan): number {
  return plan.batches.reduce((sum, seeds) => sum + seeds.length, 0);
}
