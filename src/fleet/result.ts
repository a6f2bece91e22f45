import { createHash } from 'node:crypto';
import { z } from 'zod';
import { decodeRgb, encodePng } from '../image/codec.js';
import type { GeneratedImage } from '../pipeline/execute.js';
import { FailureError } from '../request/errors.js';
import { LIMITS } from '../request/limits.js';

const FORMAT = 'sdgen-result-1';
const MAX_HEAD_BYTES = 64 << 20;
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const seconds = z.number().min(0);

const headSchema = z.strictObject({
  format: z.literal(FORMAT),
  /** Of the plan that was run. */
  plan: sha256,
  /** Who made it, and on what. */
  worker: z.string().max(200),
  device: z.strictObject({ name: z.string().max(40), precision: z.string().max(40), isa: z.string().max(200) }),
  times: z.strictObject({ load: seconds, encode: seconds, sample: seconds, decode: seconds, total: seconds }),
  images: z
    .array(
      z.strictObject({
        index: z.number().int().min(0),
        seed: z.number().int().min(0),
        width: z.number().int().min(1).max(LIMITS.side.max),
        height: z.number().int().min(1).max(LIMITS.side.max),
        pixelSha256: sha256,
        latentSha256: sha256,
        retriedInFp32: z.boolean(),
        trail: z
          .array(
            z.strictObject({
              steps: z.array(z.number().int().min(0)),
              hashes: z.array(z.string().regex(/^[0-9a-f]{16}$/)),
            }),
          )
          .nullable(),
        bytes: z.number().int().min(1),
      }),
    )
    .max(LIMITS.count.max * LIMITS.batchSize.max),
});
type Head = z.output<typeof headSchema>;

/** A plan's pictures as a worker gives them. */
export interface TaskResult extends Pick<Head, 'plan' | 'worker' | 'device' | 'times'> {
  readonly images: readonly GeneratedImage[];
}

/** One piece: the length of its head, the head as JSON, and each picture as a PNG, which loses nothing. */
export async function encodeResult(result: TaskResult): Promise<Buffer> {
  const files = await Promise.all(result.images.map(({ pixels, width, height }) => encodePng(pixels, width, height)));
  const images = result.images.map((image, i) => {
    const { index, seed, width, height, pixelSha256, latentSha256, retriedInFp32, trail } = image;
    const facts = { index, seed, width, height, pixelSha256, latentSha256, retriedInFp32 };
    return { ...facts, trail: trail ?? null, bytes: files[i]?.length ?? 0 };
  });
  const { plan, worker, device, times } = result;
  const head = Buffer.from(JSON.stringify({ format: FORMAT, plan, worker, device, times, images }));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(head.length);
  return Buffer.concat([length, head, ...files]);
}

const broken = (why: string, cause?: unknown): FailureError =>
  new FailureError('E_RESULT', `what a worker gave cannot be used: ${why}`, { cause });

function readHead(bytes: Buffer): { head: Head; start: number } {
  const length = bytes.length < 4 ? 0 : bytes.readUInt32LE(0);
  if (length === 0 || length > MAX_HEAD_BYTES || 4 + length > bytes.length) throw broken('it is cut off');
  let data: unknown;
  try {
    data = JSON.parse(bytes.toString('utf8', 4, 4 + length));
  } catch (cause) {
    throw broken('it is damaged', cause);
  }
  const result = headSchema.safeParse(data);
  if (result.success) return { head: result.data, start: 4 + length };
  throw broken(`${result.error.issues[0]?.path.join('.') || 'its head'} is not valid`);
}

/**
 * @param plan the hash of the plan that was asked for
 * @throws FailureError E_RESULT for what is not that plan's result, or whose pixels are not those that were made
 */
export async function decodeResult(bytes: Buffer, plan: string): Promise<TaskResult> {
  const { head, start } = readHead(bytes);
  if (head.plan !== plan) throw broken('it is of another plan');
  let at = start;
  const files = head.images.map(({ bytes: size }) => {
    at += size;
    return bytes.subarray(at - size, at);
  });
  if (at !== bytes.length) throw broken('its length is wrong');
  const images = await Promise.all(
    head.images.map(async ({ bytes: _, trail, ...facts }, i): Promise<GeneratedImage> => {
      const { data, width, height } = await decodeRgb(files[i] ?? Buffer.alloc(0), facts.width * facts.height);
      const isRight = width === facts.width && height === facts.height;
      if (!isRight || createHash('sha256').update(data).digest('hex') !== facts.pixelSha256) {
        throw broken('its pixels are not those that were made');
      }
      return { ...facts, pixels: data, trail: trail ?? undefined, madeOn: head.device };
    }),
  );
  return { plan: head.plan, worker: head.worker, device: head.device, times: head.times, images };
}
