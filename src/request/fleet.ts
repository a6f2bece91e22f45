import { z } from 'zod';
import { FLEET_DEFAULTS, SERVER_DEFAULTS } from './limits.js';

const whole = (min: number, max: number) =>
  z.number().int().min(min).max(max).describe(`a whole number from ${min} to ${max}`);

const SHARE = 'a share such as 5% or 0.05';

/** "5%" or "0.05" as 0 … 1. */
function share() {
  const asNumber = (text: string): number => (text.endsWith('%') ? Number(text.slice(0, -1)) / 100 : Number(text));
  return z
    .string()
    .refine((text) => /^\d+(\.\d+)?%?$/.test(text) && asNumber(text) <= 1, { error: `must be ${SHARE}` })
    .transform(asNumber)
    .describe(SHARE)
    .optional();
}

/** Which queue, and what the fleet behind it shares. */
export const queueSchema = z.strictObject({
  queue: z.string().min(1).describe('redis://host:port or rediss://…').optional(),
  queueCa: z.string().min(1).describe('a file').optional(),
  store: z.string().min(1).describe('a folder or s3://bucket/prefix').optional(),
  audit: share(),
});
export type QueueOptions = z.output<typeof queueSchema>;

/** How a worker is started, besides the queue, the models and the machine. */
export const workerSchema = z.strictObject({
  name: z
    .string()
    .regex(/^[\w.@-]{1,64}$/)
    .describe('1 to 64 letters, digits and any of . _ @ -')
    .optional(),
  concurrency: whole(1, 64).default(FLEET_DEFAULTS.concurrency),
  keepModels: whole(1, 1000).default(SERVER_DEFAULTS.keepModels),
  lease: z.number().min(1).max(86_400).describe('a number of seconds from 1 to 86400').default(FLEET_DEFAULTS.lease),
});
