import type { Redis } from 'ioredis';
import { FailureError } from '../../request/errors.js';
import { KEYS } from '../names.js';
import type { BlobStore } from './store.js';

/** Of one blob: a Redis holds everything in memory. */
export const MAX_QUEUE_BLOB_BYTES = 64 << 20;
/** What nobody collects goes by itself. */
const KEPT_SECONDS = 24 * 60 * 60;

/** Blobs in the queue's own Redis: for small fleets. Each is bounded, and goes when it is collected or after a day. */
export class QueueStore implements BlobStore {
  readonly id = null;
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  async put(key: string, data: Uint8Array): Promise<void> {
    if (data.length > MAX_QUEUE_BLOB_BYTES) {
      throw new FailureError(
        'E_STORE',
        `${key} has ${data.length} bytes, and the queue takes ${MAX_QUEUE_BLOB_BYTES}: give all sides a --store`,
      );
    }
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    await this.#redis.set(KEYS.blob(key), bytes, 'EX', KEPT_SECONDS).catch((cause: unknown) => {
      throw new FailureError('E_STORE', `the queue does not take ${key}: ${(cause as Error).message}`, { cause });
    });
  }

  async get(key: string): Promise<Buffer | undefined> {
    return (await this.#redis.getBuffer(KEYS.blob(key))) ?? undefined;
  }

  async remove(key: string): Promise<void> {
    await this.#redis.del(KEYS.blob(key));
  }
}
