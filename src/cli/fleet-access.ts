import { resolve } from 'node:path';
import type { Redis } from 'ioredis';
import { connectQueue, shownUrl } from '../fleet/connection.js';
import { openStore } from '../fleet/stores/open-store.js';
import { QueueStore } from '../fleet/stores/queue-store.js';
import type { BlobStore } from '../fleet/stores/store.js';
import { readBoundedFile } from '../image/read-file.js';
import { parseWith } from '../request/describe.js';
import { UsageError } from '../request/errors.js';
import { type QueueOptions, queueSchema } from '../request/fleet.js';
import { warn } from './failure.js';
import { type Flags, pick } from './flags.js';
import type { Io } from './io.js';

const MAX_CA_BYTES = 1 << 20;

export interface FleetAccess {
  readonly redis: Redis;
  readonly stores: { readonly queue: BlobStore; readonly shared: BlobStore | undefined };
  /** The address without its password. */
  readonly shown: string;
}

/** @throws UsageError */
export function readQueueOptions(flags: Flags): QueueOptions {
  const options = parseWith(queueSchema, pick(flags.values, Object.keys(queueSchema.shape)), flags.nameOf);
  const { queue, queueCa, store, audit } = options;
  const alone = Object.entries({ queueCa, store, audit }).find(([, value]) => value !== undefined);
  if (queue === undefined && alone !== undefined) {
    throw new UsageError(`${flags.nameOf(alone[0])} is for the fleet behind --queue: give that too`, alone[0]);
  }
  return options;
}

/**
 * Opens the queue.
 * @throws UsageError, FailureError E_QUEUE
 */
export async function openFleet(options: QueueOptions & { readonly queue: string }, io: Io): Promise<FleetAccess> {
  const { queue: url, queueCa, store } = options;
  const ca =
    queueCa === undefined
      ? undefined
      : (await readBoundedFile(resolve(io.cwd, queueCa), MAX_CA_BYTES, 'certificates')).toString('utf8');
  const shown = shownUrl(url);
  const shared = store === undefined ? undefined : await openStore(store, io);
  const redis = await connectQueue({ url, ca }, (state, reason) =>
    warn(
      io,
      state === 'lost' ? `the queue ${shown} is away (${reason}); waiting for it` : `the queue ${shown} is back`,
    ),
  );
  return { redis, stores: { queue: new QueueStore(redis), shared }, shown };
}
