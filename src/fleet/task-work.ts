import { type Job, UnrecoverableError } from 'bullmq';
import type { Redis } from 'ioredis';
import { EarlyEnd } from '../context/early-end.js';
import { FailureError, UsageError } from '../request/errors.js';
import type { RunEvent } from '../runtime/processing-runner.js';
import type { ExecutionQueue } from '../runtime/queue.js';
import { Lease } from './lease.js';
import { channelsOf } from './names.js';
import { hearOrders, type Listening } from './orders.js';
import { perform, type Workshop } from './perform.js';
import { encodeResult } from './result.js';
import { type BlobStore, resultKey } from './stores/store.js';
import type { Tallies } from './tallies.js';
import { decodeTask, encodeNews, failureText, type Order, type Receipt, type Task } from './task.js';

/** News of steps at most so often. */
const NEWS_MS = 200;

/** Failures that lie in the plan: another worker would meet them too. Any other may be this worker's own. */
const OF_PLAN = new Set([
  ...['E_PLAN', 'E_NON_FINITE', 'E_OUT_OF_MEMORY', 'E_INVALID_ARGUMENT', 'E_MODEL_UNSUPPORTED', 'E_TEXT'],
  'E_INPUT',
]);

/** How a task ended here. `fault`: it failed, and this worker may be why. */
export type TaskEnd = { readonly kind: 'done' | 'lost' } | { readonly kind: 'failed' | 'fault'; readonly why: string };

export interface TaskWorkParts {
  readonly redis: Redis;
  readonly shop: Workshop;
  readonly stores: { readonly queue: BlobStore; readonly shared: BlobStore | undefined };
  readonly leaseMs: number;
  readonly listening: Listening;
  /** One computes at a time. */
  readonly compute: ExecutionQueue;
  /** Plans under way are given back when it aborts. */
  readonly abort: AbortSignal;
  readonly tallies: Tallies;
}

/** What ends a task here before it is done. */
type Stop = 'lost' | 'cancelled' | 'stopped';

/** One task under way. */
interface UnderWay {
  readonly job: Job;
  readonly token: string;
  readonly id: string;
  readonly controller: AbortController;
  stop: Stop | undefined;
}

/** Works on tasks: the lease, orders and news while the plan is computed, then result or failure back to the queue. */
export class TaskWork {
  readonly #parts: TaskWorkParts;
  #turns = 0;
  running = 0;

  constructor(parts: TaskWorkParts) {
    this.#parts = parts;
  }

  async one(job: Job, token: string): Promise<TaskEnd> {
    const { leaseMs, abort } = this.#parts;
    const task: UnderWay = { job, token, id: job.id ?? '', controller: new AbortController(), stop: undefined };
    const stop = (why: Stop) => (): void => {
      task.stop ??= why;
      task.controller.abort();
    };
    const lease = new Lease(job, token, leaseMs, stop('lost'));
    const onAbort = stop('stopped');
    abort.addEventListener('abort', onAbort, { once: true });
    if (abort.aborted) onAbort();
    this.running += 1;
    try {
      return await this.#guarded(task, stop('cancelled'));
    } finally {
      this.running -= 1;
      abort.removeEventListener('abort', onAbort);
      lease.end();
    }
  }

  async #guarded(task: UnderWay, cancel: () => void): Promise<TaskEnd> {
    try {
      const receipt = await this.#make(task, cancel);
      task.controller.signal.throwIfAborted();
      await task.job.moveToCompleted(receipt, task.token, false);
      return { kind: 'done' };
    } catch (error) {
      if (isLockLost(error)) task.stop ??= 'lost';
      return await this.#ended(task, error);
    }
  }

  /** Computes the plan and puts the result where the one who asks looks for it. */
  async #make(task: UnderWay, cancel: () => void): Promise<Receipt> {
    const { redis, listening, shop, compute, tallies } = this.#parts;
    const asked = decodeTask(task.job.data);
    const earlyEnd = asked.earlyEnd ? new EarlyEnd() : undefined;
    const obey = (order: Order): void => {
      if (order === 'cancel') cancel();
      else if (order === 'interrupt') earlyEnd?.interrupt();
      else earlyEnd?.skip();
    };
    const unhear = await hearOrders(redis, listening, task.id, obey);
    this.#turns += 1;
    const place = compute.enter(`${task.id}:${this.#turns}`);
    try {
      const onEvent = this.#teller(task, asked);
      const store = this.#storeOf(asked);
      const result = await perform(
        asked,
        { ...shop, inputs: store },
        { place, signal: task.controller.signal, earlyEnd, onEvent },
      );
      const { total } = result.times;
      const bytes = await encodeResult(result);
      task.controller.signal.throwIfAborted();
      await store.put(resultKey(task.id), bytes);
      tallies.add(result.images.length, total);
      return { worker: shop.name, place: store.id === null ? 'queue' : 'store', bytes: bytes.length };
    } finally {
      place.leave();
      unhear();
    }
  }

  #storeOf({ store: id }: Task): BlobStore {
    const { stores } = this.#parts;
    const store = id === null ? stores.queue : stores.shared;
    if (store?.id === id) return store;
    throw new FailureError('E_STORE', 'the result is asked for in a store that is not given here');
  }

  /** Publishes where the run stands, for whoever listens. */
  #teller({ id }: UnderWay, { previewEvery }: Task): (event: RunEvent) => void {
    const { redis, shop } = this.#parts;
    const channel = channelsOf(redis).progress(id);
    let last = 0;
    return (event) => {
      const isStart = event.type === 'stage' && event.stage === 'execute';
      if (!isStart && event.type !== 'step') return;
      const previews = event.type === 'step' && previewEvery > 0 ? (event.previews ?? []) : [];
      const { step, steps, batch, batches, sigma, evaluations, imagesDone } = event.state;
      const isDue = performance.now() - last >= NEWS_MS || step === steps || isStart || previews.length > 0;
      if (!isDue) return;
      last = performance.now();
      const kind = isStart ? 'started' : 'step';
      const facts = { kind, worker: shop.name, batch, batches, step, steps, sigma, evaluations, imagesDone } as const;
      // News that are not heard are not missed.
      redis.publish(channel, encodeNews({ ...facts, previews })).catch(() => undefined);
    };
  }

  /** Gives a task back that was not done. */
  async #ended(task: UnderWay, error: unknown): Promise<TaskEnd> {
    const { tallies, shop } = this.#parts;
    const { job, token, stop } = task;
    if (stop === 'lost') {
      tallies.lost += 1;
      return { kind: 'lost' };
    }
    try {
      if (stop === 'stopped') await job.moveToWait(token);
      else if (stop === 'cancelled') await job.moveToFailed(new UnrecoverableError('E_CANCELLED: cancelled'), token);
      if (stop !== undefined) return { kind: 'lost' };
      const code = error instanceof FailureError ? error.code : error instanceof UsageError ? 'E_PLAN' : 'E_INTERNAL';
      const message = error instanceof Error ? error.message : String(error);
      tallies.failed += 1;
      await job.moveToFailed(new Error(failureText(code, message, shop.name)), token);
      return { kind: OF_PLAN.has(code) ? 'failed' : 'fault', why: `${code}: ${message}` };
    } catch (lost) {
      if (!isLockLost(lost)) throw lost;
      tallies.lost += 1;
      return { kind: 'lost' };
    }
  }
}

/** BullMQ's answer where another worker has the task, or nobody any more. */
function isLockLost(error: unknown): boolean {
  return (
    error instanceof Error && /^(Missing (lock|key)|Lock mismatch|Job .* is not in the active)/.test(error.message)
  );
}
