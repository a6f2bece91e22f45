import { Queue, QueueEvents } from 'bullmq';
import type { Redis } from 'ioredis';
import { anotherConnection } from './connection.js';
import { PREFIX } from './names.js';

/** What BullMQ says of a task's end. */
export interface LaneListener {
  readonly onCompleted: (task: string) => void;
  readonly onFailed: (task: string, reason: string) => void;
  readonly onError: (error: Error) => void;
}

/** How long failures can be looked at, and what nobody collects. */
const DAY_SECONDS = 24 * 60 * 60;
/** Tries of a plan that fails. */
export const TRIES = 3;

/** One queue from the side of those who ask: what is put in, and how it ends. */
export class Lane {
  readonly queue: Queue;
  readonly #events: QueueEvents;
  readonly #connection: Redis;

  private constructor(queue: Queue, events: QueueEvents, connection: Redis) {
    this.queue = queue;
    this.#events = events;
    this.#connection = connection;
  }

  /** Hears every end from now on. */
  static async open(name: string, redis: Redis, listener: LaneListener): Promise<Lane> {
    const queue = new Queue(name, { connection: redis, prefix: PREFIX, streams: { events: { maxLen: 2000 } } });
    queue.on('error', listener.onError);
    // Not "$": that would be from the first blocking read on, which comes later than the first task.
    const [newest] = await redis.xrevrange(`${PREFIX}:${name}:events`, '+', '-', 'COUNT', 1);
    const connection = anotherConnection(redis);
    const events = new QueueEvents(name, { connection, prefix: PREFIX, lastEventId: newest?.[0] ?? '0' });
    events.on('error', listener.onError);
    events.on('completed', ({ jobId }) => listener.onCompleted(jobId));
    events.on('failed', ({ jobId, failedReason }) => listener.onFailed(jobId, failedReason));
    await events.waitUntilReady();
    return new Lane(queue, events, connection);
  }

  /** @param priority 0 before all others, then in the order of the number */
  async add(task: string, data: object, priority: number): Promise<void> {
    await this.queue.add('plan', data, {
      jobId: task,
      attempts: TRIES,
      priority,
      removeOnComplete: { age: DAY_SECONDS, count: 100_000 },
      removeOnFail: { age: 7 * DAY_SECONDS, count: 1000 },
      stackTraceLimit: 0,
    });
  }

  /** How a task stands; undefined where it is not there (any more). */
  async stateOf(task: string): Promise<{ state: string; receipt: unknown; reason: string } | undefined> {
    const job = await this.queue.getJob(task);
    if (job === undefined) return undefined;
    const state = await job.getState();
    return { state, receipt: job.returnvalue, reason: job.failedReason ?? '' };
  }

  /** @returns false where a worker has it just now */
  async remove(task: string): Promise<boolean> {
    const job = await this.queue.getJob(task);
    if (job === undefined) return true;
    return job.remove().then(
      () => true,
      () => false,
    );
  }

  /** @param forget whether nothing of the queue shall stay, if nothing is in it */
  async close(forget = false): Promise<void> {
    await this.#events.close().catch(() => undefined); // its connection may be away
    this.#connection.disconnect();
    if (forget) await this.queue.obliterate().catch(() => undefined); // somebody else's task runs there
    await this.queue.close();
  }
}
