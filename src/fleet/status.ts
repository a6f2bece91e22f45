import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { refusal, type WorkClass } from './classes.js';
import { PREFIX } from './names.js';
import { type Aside, Registry, type WorkerInfo } from './registry.js';

/** Plans that ask the same, and how they stand. */
export interface ClassStatus {
  readonly queue: string;
  readonly work: WorkClass;
  readonly waiting: number;
  readonly running: number;
  /** Done, and not collected yet. */
  readonly done: number;
  readonly failed: number;
  /** Workers that can take them and are not set aside. */
  readonly workers: number;
}

export interface Failure {
  readonly model: string;
  readonly task: string;
  readonly reason: string;
  readonly tries: number;
  readonly at: string | null;
}

export interface FleetStatus {
  readonly workers: readonly WorkerInfo[];
  readonly classes: readonly ClassStatus[];
  /** Newest first. */
  readonly failures: readonly Failure[];
  readonly aside: readonly (Aside & { readonly name: string })[];
}

/** Failures that are told of each class. */
const FAILURES = 5;

async function readClass(redis: Redis, queue: string, work: WorkClass, able: number) {
  const own = new Queue(queue, { connection: redis, prefix: PREFIX, skipMetasUpdate: true });
  own.on('error', () => undefined); // the connection's own handler tells
  try {
    const counts = await own.getJobCounts('wait', 'prioritized', 'active', 'completed', 'failed');
    const count = (...states: string[]): number => states.reduce((sum, state) => sum + (counts[state] ?? 0), 0);
    const jobs = count('failed') === 0 ? [] : await own.getFailed(0, FAILURES - 1);
    const failures = jobs.map((job): Failure & { time: number } => ({
      model: work.model.name,
      task: job.id ?? '',
      reason: job.failedReason ?? '',
      tries: job.attemptsMade,
      at: job.finishedOn === undefined ? null : new Date(job.finishedOn).toISOString(),
      time: job.finishedOn ?? 0,
    }));
    const status: ClassStatus = {
      queue,
      work,
      waiting: count('wait', 'prioritized'),
      running: count('active'),
      done: count('completed'),
      failed: count('failed'),
      workers: able,
    };
    return { status, failures };
  } finally {
    await own.close();
  }
}

/** Who is there, what waits, and what failed. */
export async function readFleet(redis: Redis): Promise<FleetStatus> {
  const registry = new Registry(redis);
  const [workers, classes, aside] = await Promise.all([registry.workers(), registry.classes(), registry.aside()]);
  const read = [...classes].map(([queue, work]) => {
    const able = workers.filter(({ name, abilities }) => !aside.has(name) && refusal(work, abilities) === undefined);
    return readClass(redis, queue, work, able.length);
  });
  const all = await Promise.all(read);
  const failures = all.flatMap((one) => one.failures).sort((a, b) => b.time - a.time);
  return {
    workers: [...workers].sort((a, b) => (a.name < b.name ? -1 : 1)),
    classes: all.map(({ status }) => status).sort((a, b) => b.waiting + b.running - (a.waiting + a.running)),
    failures: failures.slice(0, FAILURES).map(({ time: _, ...failure }) => failure),
    aside: [...aside].map(([name, why]) => ({ name, ...why })),
  };
}
