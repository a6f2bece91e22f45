import { constants, deflateSync, inflateSync } from 'node:zlib';
import { z } from 'zod';
import { FailureError } from '../request/errors.js';
import { FORMAT_NAMES, LIMITS } from '../request/limits.js';
import { canonicalJson, type GenerationPlan, hashPlan, parsePlan } from './plan.js';
import type { Trail } from './trail.js';

/**
 * What a picture carries besides its parameters text so that it can be made again and checked: JSON, deflated. Files are
 * strangers': every size is bounded before anything is inflated or parsed.
 */
const FORMAT = 'sdgen-record-1';

/** Deflated and inflated. The longest plan, a prompt of 1000 windows, takes a few MB. */
export const MAX_RECORD_BYTES = 4 << 20;
const MAX_JSON_BYTES = 32 << 20;
/** Passes of one picture, points of one pass. */
const MAX_PASSES = 16;
const MAX_POINTS = 4 * LIMITS.steps.max;
const HASH_BYTES = 8;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

const passSchema = z
  .strictObject({
    steps: z.array(z.number().int().min(0).max(MAX_POINTS)).min(1).max(MAX_POINTS),
    /** 8 bytes a step, big-endian, in base64. */
    hashes: z.base64().max(MAX_POINTS * 12),
  })
  .transform(({ steps, hashes }) => ({ steps, hashes: hexOf(Buffer.from(hashes, 'base64')) }))
  .refine(({ steps, hashes }) => steps.length === hashes.length, { error: 'as many hashes as steps are needed' })
  .refine(({ steps }) => steps.every((step, i) => i === 0 || step > (steps[i - 1] ?? step)), {
    error: 'steps must rise',
  });

const recordSchema = z.strictObject({
  format: z.literal(FORMAT),
  /** Versions of the program and of docs/numerics.md. */
  sdgen: z.string().max(64),
  numerics: z.number().int().min(1).max(1_000_000),
  /** The instruction set that computed. */
  isa: z.string().max(64),
  /** The run that the picture was made in: its whole plan's hash, and the picture's place in it, from 0. */
  run: z.strictObject({ planSha256: sha256, index: z.number().int().min(0) }),
  /** Of `plan`. */
  planSha256: sha256,
  /** The plan of this picture alone, which gives the same bytes; checked by itself. */
  plan: z.unknown(),
  /** Of the RGB8 pixels before they were written. */
  pixelSha256: sha256,
  /** How they were written. */
  file: z.strictObject({ format: z.enum(FORMAT_NAMES), quality: z.number().int().min(1).max(100) }),
  trail: z.array(passSchema).min(1).max(MAX_PASSES),
});

/** What is written; `file` is added with the file. */
export interface PictureRecord {
  readonly sdgen: string;
  readonly numerics: number;
  readonly isa: string;
  readonly run: { readonly planSha256: string; readonly index: number };
  readonly planSha256: string;
  readonly plan: GenerationPlan;
  readonly pixelSha256: string;
  readonly trail: Trail;
}

export type FileRecord = PictureRecord & { readonly file: z.output<typeof recordSchema>['file'] };

function hexOf(bytes: Buffer): string[] {
  const words = Math.ceil(bytes.length / HASH_BYTES);
  return Array.from({ length: words }, (_, i) => bytes.toString('hex', i * HASH_BYTES, (i + 1) * HASH_BYTES));
}

/** The plan of one picture of a plan. @param index its place in the run, from 0 */
export function planOfPicture(plan: GenerationPlan, index: number): GenerationPlan {
  const only = (batches: readonly (readonly number[])[]): number[][] => [[batches.flat()[index] ?? 0]];
  const { variation, start } = plan;
  const pictures = start?.pictures ?? [];
  return {
    ...plan,
    start: start && { ...start, pictures: pictures.slice(index % pictures.length).slice(0, 1) },
    variation: variation === null ? null : { ...variation, batches: only(variation.batches) },
    batches: only(plan.batches),
  };
}

/** @throws FailureError E_RECORD when it would be larger than a reader takes */
export function encodeRecord(record: FileRecord): Buffer {
  const trail = record.trail.map(({ steps, hashes }) => ({
    steps,
    hashes: Buffer.from(hashes.join(''), 'hex').toString('base64'),
  }));
  const json = Buffer.from(canonicalJson({ format: FORMAT, ...record, trail }), 'utf8');
  const bytes = deflateSync(json, { level: constants.Z_BEST_COMPRESSION });
  if (json.length <= MAX_JSON_BYTES && bytes.length <= MAX_RECORD_BYTES) return bytes;
  throw broken('its plan is too large for a picture to carry');
}

/** @throws FailureError E_RECORD, or E_PLAN where the plan in it is none */
export function decodeRecord(bytes: Uint8Array): FileRecord {
  if (bytes.length > MAX_RECORD_BYTES) throw broken(`it has ${bytes.length} bytes, more than ${MAX_RECORD_BYTES}`);
  let data: unknown;
  try {
    data = JSON.parse(inflateSync(bytes, { maxOutputLength: MAX_JSON_BYTES }).toString('utf8'));
  } catch (cause) {
    throw broken('it is damaged or too large', cause);
  }
  const result = recordSchema.safeParse(data);
  if (!result.success) {
    const issue = result.error.issues[0];
    const format: unknown = typeof data === 'object' && data !== null ? Reflect.get(data, 'format') : undefined;
    if (issue?.path[0] === 'format' && typeof format === 'string') {
      throw broken(`it is of the format ${JSON.stringify(format.slice(0, 40))}, and this sdgen reads ${FORMAT}`);
    }
    throw broken(`${issue?.path.join('.') || 'it'} is not valid: ${issue?.message ?? 'unknown'}`);
  }
  const { format: _, plan: raw, ...rest } = result.data;
  const plan = parsePlan(raw);
  if (plan.batches.flat().length !== 1) throw broken('its plan makes more than one picture');
  return { ...rest, plan };
}

/** Whether the plan is still the one that the hash beside it was taken of. */
export function isPlanIntact({ plan, planSha256 }: PictureRecord): boolean {
  return hashPlan(plan) === planSha256;
}

function broken(why: string, cause?: unknown): FailureError {
  return new FailureError('E_RECORD', `the picture's record cannot be used: ${why}`, { cause });
}
