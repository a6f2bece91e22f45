import { LATENT_HOOKS } from '../extensions/hooks.js';
import type { ExtensionRegistry } from '../extensions/registry.js';
import { Auditor } from '../fleet/audit.js';
import { FleetClient } from '../fleet/client.js';
import { FleetExecutor } from '../fleet/executor.js';
import type { RemoteExecutor } from '../pipeline/execute.js';
import { UsageError } from '../request/errors.js';
import { warn } from './failure.js';
import type { Flags } from './flags.js';
import { type FleetAccess, openFleet, readQueueOptions } from './fleet-access.js';
import type { Io } from './io.js';

/** The fleet that computes for a command. */
export interface UsedFleet {
  readonly remote: RemoteExecutor;
  readonly client: FleetClient;
  readonly access: FleetAccess;
  close(): Promise<void>;
}

/** Hooks of the sampling loop cannot follow a plan to another machine. */
function refuseLatentHooks(extensions: ExtensionRegistry): void {
  const hook = LATENT_HOOKS.find((one) => extensions.has(one));
  if (hook === undefined) return;
  throw new UsageError(`--extension: a hook ${hook} takes part in the sampling, which --queue has done elsewhere`);
}

/**
 * Opens the fleet behind --queue; undefined where none is given.
 * @param interactive whether somebody waits for each run by itself
 * @throws UsageError, FailureError
 */
export async function useFleet(
  flags: Flags,
  io: Io,
  extensions: ExtensionRegistry,
  interactive: boolean,
  onLog: (message: string) => void = (message) => warn(io, message),
): Promise<UsedFleet | undefined> {
  const options = readQueueOptions(flags);
  const { queue } = options;
  if (queue === undefined) return undefined;
  refuseLatentHooks(extensions);
  const access = await openFleet({ ...options, queue }, io);
  const client = new FleetClient({ redis: access.redis, stores: access.stores, onLog });
  const auditor = new Auditor({ client, share: options.audit ?? 0, onLog });
  const remote = new FleetExecutor({ interactive, submit: auditor.submit });
  const close = async (): Promise<void> => {
    const summary = auditor.summary();
    if (summary !== undefined) onLog(summary);
    await client.close();
    access.redis.disconnect();
  };
  return { remote, client, access, close };
}

/** Pixels whose results may lie in a queue at once, as 256 MiB of RGB. */
const PIXELS_IN_QUEUE = (256 << 20) / 3;
const MOST_IN_QUEUE = 256;
const MOST_IN_STORE = 4096;

/**
 * Items that a batch has in the fleet at once: enough for every worker, and so few that results which nobody has
 * collected yet stay within bounds.
 */
export function windowOf(largestPixels: number, isInStore: boolean): number {
  if (isInStore) return MOST_IN_STORE;
  return Math.max(2, Math.min(MOST_IN_QUEUE, Math.floor(PIXELS_IN_QUEUE / Math.max(1, largestPixels))));
}
