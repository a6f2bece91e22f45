import { createHash } from 'node:crypto';
import { z } from 'zod';
import { FailureError } from '../request/errors.js';
import { EMPHASIS_NAMES, LIMITS } from '../request/limits.js';
import { hiresSchema } from './plan-hires.js';
import { type PlanPart, samplingShape, side, tilingSchema } from './plan-sampling.js';
import { startSchema } from './plan-start.js';

const FORMAT = 'sdgen-plan-5';

const windowLength = z.number().int().min(1).max(4096);

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
  tiling: tilingSchema,
  width: side,
  height: side,
  latentWidth: side,
  latentHeight: side,
  ...samplingShape,
  /** What weights do to the text features; "None" and "Ignore" left no weights. */
  emphasis: z.enum(EMPHASIS_NAMES),
  /** Whether the schedules were read as the webui before 1.6 reads them, and differ for it. */
  oldPromptSchedules: z.boolean(),
  textWindow: windowLength,
  clipSkip: z.number().int().min(LIMITS.clipSkip.min).max(LIMITS.clipSkip.max),
  /** The start is sqrt(1 + sigma²) times the noise. */
  startWithSignal: z.boolean(),
  noiseSource: z.enum(['philox', 'torch-cpu']),
  /** Added to a picture's seed for the noise after the start's; 0: its stream goes on. */
  seedDelta: z.number().int(),
  /** Turns each picture's start towards the noise of another seed. */
  variation: z.strictObject({ strength: z.number().min(0).max(1), batches: seedsSchema }).nullable(),
  /** Size in pixels of the picture whose noise is in the middle of the start. */
  resizeFrom: z.strictObject({ width: side, height: side }).nullable(),
  /** What the run begins with besides noise; null: nothing. */
  start: startSchema.nullable(),
  /** The second pass, at another size; null: there is none. */
  hires: hiresSchema.nullable(),
  batches: seedsSchema,
});

export type GenerationPlan = Readonly<z.output<typeof planSchema>>;
export type { PlanPart } from './plan-sampling.js';
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

/** What of a plan a pass of sampling and its decoding goes by. */
export type PlanPass = Pick<
  GenerationPlan,
  keyof typeof samplingShape | 'width' | 'height' | 'latentWidth' | 'latentHeight' | 'tiling'
>;

/** The passes of sampling in their order: one, or two. */
export function passesOf(plan: GenerationPlan): [PlanPass, ...PlanPass[]] {
  return plan.hires === null ? [plan] : [plan, plan.hires];
}

/** Bytes of all text features of a pass, twice: they wait in JavaScript and in the engine. */
export function textBytes({ prompt, negativePrompt }: PlanPass, textWindow: number, width: number): number {
  const parts = negativePrompt.part === null ? prompt.parts : [...prompt.parts, negativePrompt.part];
  const windows = parts.reduce((sum, part) => sum + part.texts.length * chunkCount([part]), 0);
  return 2 * Float32Array.BYTES_PER_ELEMENT * windows * textWindow * width;
}

/** Size of the finished pictures in pixels. */
export function pictureSize({ start, hires, width, height }: GenerationPlan): {
  readonly width: number;
  readonly height: number;
} {
  if (hires !== null) return { width: hires.width, height: hires.height };
  return start?.output ?? { width, height };
}

/** Images of the whole run. */
export function imageCount(plan: GenerationPlan): number {
  return plan.batches.reduce((sum, seeds) => sum + seeds.length, 0);
}
