import type { Redis } from 'ioredis';
import { databaseOf } from './connection.js';

/** Begins every key of ours and of BullMQ's in the queue's database. */
export const PREFIX = 'sdgen';

export const KEYS = {
  /** Sorted set: worker's id → when it was heard of last, by the queue's clock (ms). */
  workers: `${PREFIX}:workers`,
  /** Hash: class's name → its description. */
  classes: `${PREFIX}:classes`,
  /** Hash: name of a worker that was set aside → why. */
  aside: `${PREFIX}:aside`,
  worker: (id: string): string => `${PREFIX}:worker:${id}`,
  blob: (key: string): string => `${PREFIX}:blob:${key}`,
  /** What a task is told while it waits or runs: cancel, interrupt, skip. */
  order: (task: string): string => `${PREFIX}:order:${task}`,
} as const;

/** Channels are shared by all databases of a Redis. */
export interface Channels {
  /** There is something to do. */
  readonly doorbell: string;
  readonly progress: (task: string) => string;
  readonly order: (task: string) => string;
}

export function channelsOf(redis: Redis): Channels {
  const start = `${PREFIX}:${databaseOf(redis)}`;
  return {
    doorbell: `${start}:doorbell`,
    progress: (task) => `${start}:progress:${task}`,
    order: (task) => `${start}:order:${task}`,
  };
}

/** The queue of what is for one worker alone. */
export function ownQueue(workerId: string): string {
  return `to-${workerId}`;
}
