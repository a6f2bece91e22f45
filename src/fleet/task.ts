import { z } from 'zod';
import { type GenerationPlan, parsePlan } from '../pipeline/plan.js';
import { FailureError } from '../request/errors.js';

const TASK_FORMAT = 'sdgen-task-1';

/** What waits in the queue. */
const taskSchema = z.strictObject({
  format: z.literal(TASK_FORMAT),
  plan: z.unknown(),
  /** Steps from one preview to the next; 0: none. */
  previewEvery: z.number().int().min(0).max(1000),
  /** Whether it may be told to end early and keep what there is. */
  earlyEnd: z.boolean(),
  /** The id of the store where the result is looked for; null: the queue. */
  store: z.string().nullable(),
});

export interface Task {
  readonly plan: GenerationPlan;
  readonly previewEvery: number;
  readonly earlyEnd: boolean;
  readonly store: string | null;
}

export function encodeTask(task: Task): z.input<typeof taskSchema> {
  const { plan, previewEvery, earlyEnd, store } = task;
  return { format: TASK_FORMAT, plan, previewEvery, earlyEnd, store };
}

/** @throws FailureError E_PLAN for what another version, or nobody, wrote */
export function decodeTask(data: unknown): Task {
  const result = taskSchema.safeParse(data);
  if (!result.success) {
    const place = result.error.issues[0]?.path.join('.') || 'it';
    throw new FailureError('E_PLAN', `what waits in the queue is no plan of this version: ${place} is not valid`);
  }
  const { plan, previewEvery, earlyEnd, store } = result.data;
  return { plan: parsePlan(plan), previewEvery, earlyEnd, store };
}

/** What BullMQ keeps of a finished task. */
const receiptSchema = z.strictObject({
  worker: z.string(),
  /** Which store has the result. */
  place: z.enum(['queue', 'store']),
  bytes: z.number().int(),
});
export type Receipt = Readonly<z.output<typeof receiptSchema>>;

export function parseReceipt(value: unknown): Receipt | undefined {
  const result = receiptSchema.safeParse(value);
  return result.success ? result.data : undefined;
}

/** A failure as one line that both people and `parseFailure` read: "E_CODE: message (worker NAME)". */
export function failureText(code: string, message: string, worker: string): string {
  return `${code}: ${message.replace(/\s+/g, ' ')} (worker ${worker})`;
}

/** What the queue says of a task that failed, as an error. */
export function parseFailure(text: string): FailureError {
  if (/stalled more than/.test(text)) {
    return new FailureError('E_WORKER_LOST', 'every worker that took the plan was lost while it worked on it');
  }
  const found = /^(E_[A-Z0-9_]+): (.*)$/s.exec(text);
  return new FailureError(found?.[1] ?? 'E_WORKER', found?.[2] ?? text);
}

/** What a running task tells: JSON, and after its line the pictures as they stand. */
const newsSchema = z.strictObject({
  kind: z.enum(['started', 'step']),
  worker: z.string(),
  batch: z.number().int().min(0),
  batches: z.number().int().min(0),
  step: z.number().int().min(0),
  steps: z.number().int().min(0),
  sigma: z.number(),
  evaluations: z.number().int().min(0),
  imagesDone: z.number().int().min(0),
  previews: z.array(z.strictObject({ width: z.number().int().min(1), height: z.number().int().min(1) })).max(64),
});
type NewsHead = z.output<typeof newsSchema>;

export interface Preview {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}

export interface News extends Omit<NewsHead, 'previews'> {
  readonly previews: readonly Preview[];
}

export function encodeNews({ previews, ...head }: News): Buffer {
  const sizes = previews.map(({ width, height }) => ({ width, height }));
  const line = Buffer.from(`${JSON.stringify({ ...head, previews: sizes })}\n`);
  return Buffer.concat([line, ...previews.map(({ data }) => data)]);
}

/** Undefined for what is none: news are for display alone. */
export function decodeNews(bytes: Buffer): News | undefined {
  const end = bytes.indexOf(0x0a);
  let data: unknown;
  try {
    data = JSON.parse(bytes.toString('utf8', 0, Math.max(0, end)));
  } catch {
    return undefined;
  }
  const result = newsSchema.safeParse(data);
  if (!result.success) return undefined;
  let at = end + 1;
  const previews = result.data.previews.map(({ width, height }) => {
    const size = width * height * 3;
    at += size;
    return { width, height, data: Uint8Array.from(bytes.subarray(at - size, at)) };
  });
  if (at !== bytes.length) return undefined;
  return { ...result.data, previews };
}

export const ORDERS = ['cancel', 'interrupt', 'skip'] as const;
/** What a task may be told. */
export type Order = (typeof ORDERS)[number];

export function parseOrder(text: string | null): Order | undefined {
  return ORDERS.find((one) => one === text);
}
