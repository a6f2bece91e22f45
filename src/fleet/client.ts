import type { Redis } from 'ioredis';
import type { EarlyEnd } from '../context/early-end.js';
import type { GenerationPlan } from '../pipeline/plan.js';
import type { RunInputs, StartPictures } from '../pipeline/start-pictures.js';
import { FailureError } from '../request/errors.js';
import { classOf, refusal, type WorkClass } from './classes.js';
import { putInput } from './inputs.js';
import { Lane } from './lane.js';
import { channelsOf, KEYS, ownQueue } from './names.js';
import { giveOrder, Listening } from './orders.js';
import { Registry } from './registry.js';
import { decodeResult, type TaskResult } from './result.js';
import { type BlobStore, resultKey } from './stores/store.js';
import { decodeNews, encodeTask, type News, parseFailure } from './task.js';

/** A plan that is to be made by some worker. */
export interface Submission {
  readonly plan: GenerationPlan;
  readonly planSha256: string;
  /** The same for the same work: what is asked twice is made once. */
  readonly id: string;
  /** 0: before all that has a number. */
  readonly priority: number;
  readonly previewEvery: number;
  readonly earlyEnd?: EarlyEnd | undefined;
  readonly signal: AbortSignal;
  readonly onNews?: ((news: News) => void) | undefined;
  /** What the plan begins with: put where the workers find it, under the hash of its pixels. */
  readonly start?: { readonly inputs: RunInputs; readonly pictures: StartPictures } | undefined;
  /** The worker that alone shall make it. */
  readonly to?: string | undefined;
}

export interface FleetClientParts {
  readonly redis: Redis;
  readonly stores: { readonly queue: BlobStore; readonly shared: BlobStore | undefined };
  readonly onLog: (message: string) => void;
  /** Milliseconds between looks at what was not heard of. */
  readonly pollMs?: number | undefined;
}

interface Pending {
  readonly submission: Submission;
  readonly work: WorkClass;
  readonly queue: string;
  readonly promise: Promise<TaskResult>;
  readonly resolve: (result: TaskResult) => void;
  readonly reject: (error: unknown) => void;
  users: number;
  /** How often its result was gone or unusable. */
  broken: number;
  settling: boolean;
  ended: boolean;
}

const POLL_MS = 2000;
/** Tasks that one look is for; the next look is for the next ones. */
const LOOKED_AT = 256;
const MAX_BROKEN = 3;

/**
 * Has plans made by the fleet. A task is in the queue before `submit` waits for it; ends are heard as events, and looked
 * for now and then too, so that neither a lost event nor a queue that lost everything leaves anybody waiting.
 */
export class FleetClient {
  readonly #parts: FleetClientParts;
  readonly registry: Registry;
  readonly #listening: Listening;
  readonly #lanes = new Map<string, Promise<Lane>>();
  readonly #pending = new Map<string, Pending>();
  readonly #timer: NodeJS.Timeout;
  readonly #told = new Set<string>();
  #looking = false;

  constructor(parts: FleetClientParts) {
    this.#parts = parts;
    this.registry = new Registry(parts.redis);
    this.#listening = new Listening(parts.redis);
    this.#timer = setInterval(() => void this.#look(), parts.pollMs ?? POLL_MS);
  }

  get storeId(): string | null {
    return this.#parts.stores.shared?.id ?? null;
  }

  /** @throws FailureError: what the plan failed with, E_CANCELLED after an abort, E_RESULT for results that are wrong */
  async submit(submission: Submission): Promise<TaskResult> {
    const { id, signal, onNews, earlyEnd } = submission;
    signal.throwIfAborted();
    const pending = this.#pending.get(id) ?? this.#begin(submission);
    pending.users += 1;
    const unhear = await this.#hearNews(id, onNews);
    earlyEnd?.onWanted(() => {
      if (earlyEnd.interrupted || earlyEnd.skipped) {
        const order = earlyEnd.interrupted ? 'interrupt' : 'skip';
        giveOrder(this.#parts.redis, id, order).catch((error: unknown) => this.#log(error));
      }
    });
    let onAbort: () => void = () => undefined;
    const aborted = new Promise<never>((_, reject) => {
      onAbort = () => reject(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
    });
    try {
      return await Promise.race([pending.promise, aborted]);
    } finally {
      signal.removeEventListener('abort', onAbort);
      earlyEnd?.onWanted(() => undefined);
      unhear();
      pending.users -= 1;
      if (!pending.ended && pending.users === 0) await this.#cancel(pending);
      if (pending.ended) await this.#leave(pending).catch((error: unknown) => this.#log(error));
    }
  }

  async #hearNews(id: string, onNews: Submission['onNews']): Promise<() => void> {
    if (onNews === undefined) return () => undefined;
    return this.#listening.to(channelsOf(this.#parts.redis).progress(id), (bytes) => {
      const news = decodeNews(bytes);
      if (news !== undefined) onNews(news);
    });
  }

  #begin(submission: Submission): Pending {
    const work = classOf(submission.plan, this.storeId);
    let resolve: Pending['resolve'] = () => undefined;
    let reject: Pending['reject'] = () => undefined;
    const promise = new Promise<TaskResult>((yes, no) => {
      resolve = yes;
      reject = no;
    });
    promise.catch(() => undefined); // those who wait are told
    const queue = submission.to === undefined ? '' : ownQueue(submission.to);
    const counts = { users: 0, broken: 0, settling: false, ended: false };
    const pending: Pending = { submission, work, queue, promise, resolve, reject, ...counts };
    this.#pending.set(submission.id, pending);
    this.#enqueue(pending).catch((error: unknown) => this.#end(pending, () => reject(error)));
    return pending;
  }

  /** Puts a task into its queue, or takes up the one of that id that is there already. */
  async #enqueue(pending: Pending): Promise<void> {
    const { redis } = this.#parts;
    const { id, priority } = pending.submission;
    const lane = await this.#laneOf(pending);
    const before = await lane.stateOf(id);
    if (before?.state === 'completed') return this.#collect(pending);
    if (before?.state === 'failed') await lane.remove(id);
    else if (before !== undefined) return;
    await this.#putInputs(pending.submission);
    await redis.del(KEYS.order(id));
    await lane.add(id, this.#taskOf(pending), priority);
    await redis.publish(channelsOf(redis).doorbell, '');
  }

  async #putInputs({ start }: Submission): Promise<void> {
    if (start === undefined) return;
    const { pictures, mask } = start.inputs;
    for (const picture of mask === undefined ? pictures : [...pictures, mask]) {
      await putInput(this.#parts.stores.shared ?? this.#parts.stores.queue, picture);
    }
  }

  #taskOf({ submission }: Pending): object {
    const { plan, previewEvery, earlyEnd } = submission;
    return encodeTask({ plan, previewEvery, earlyEnd: earlyEnd !== undefined, store: this.storeId });
  }

  async #laneOf({ queue, work }: Pending): Promise<Lane> {
    const name = queue === '' ? await this.registry.registerClass(work) : queue;
    const known = this.#lanes.get(name);
    if (known !== undefined) return known;
    const lane = Lane.open(name, this.#parts.redis, {
      onCompleted: (task) => this.#heard(task, (pending) => this.#collect(pending)),
      onFailed: (task, reason) => this.#heard(task, (pending) => this.#fail(pending, reason)),
      onError: (error) => this.#log(error),
    });
    this.#lanes.set(name, lane);
    return lane;
  }

  #heard(task: string, then: (pending: Pending) => Promise<void>): void {
    const pending = this.#pending.get(task);
    if (pending !== undefined) then(pending).catch((error: unknown) => this.#log(error));
  }

  #end(pending: Pending, tell: () => void): void {
    if (pending.ended) return;
    pending.ended = true;
    this.#pending.delete(pending.submission.id);
    tell();
  }

  /** A queue of one worker is asked now and then: nothing of it stays. */
  async #leave({ queue }: Pending): Promise<void> {
    if (queue === '' || [...this.#pending.values()].some((other) => other.queue === queue)) return;
    const lane = this.#lanes.get(queue);
    this.#lanes.delete(queue);
    await (await lane)?.close(true);
  }

  async #fail(pending: Pending, reason: string): Promise<void> {
    const error = parseFailure(reason);
    this.#end(pending, () => pending.reject(error));
  }

  /** Takes a result out of its store. Where it is gone or not what was asked for, the plan is made again. */
  async #collect(pending: Pending): Promise<void> {
    if (pending.settling || pending.ended) return;
    pending.settling = true;
    const { id, planSha256 } = pending.submission;
    const store = this.#parts.stores.shared ?? this.#parts.stores.queue;
    try {
      const bytes = await store.get(resultKey(id));
      if (bytes === undefined) throw new FailureError('E_RESULT', 'a result was gone before it was collected');
      const result = await decodeResult(bytes, planSha256);
      const lane = await this.#laneOf(pending);
      await Promise.all([store.remove(resultKey(id)), lane.remove(id)]).catch((error: unknown) => this.#log(error));
      this.#end(pending, () => pending.resolve(result));
    } catch (error) {
      if (!pending.ended) await this.#again(pending, error);
    } finally {
      pending.settling = false;
    }
  }

  async #again(pending: Pending, error: unknown): Promise<void> {
    pending.broken += 1;
    const { id, priority } = pending.submission;
    const lane = await this.#laneOf(pending);
    await lane.remove(id);
    if (pending.broken >= MAX_BROKEN) return this.#end(pending, () => pending.reject(error));
    this.#log(error);
    await lane.add(id, this.#taskOf(pending), priority);
  }

  async #cancel(pending: Pending): Promise<void> {
    this.#end(pending, () => pending.reject(new FailureError('E_CANCELLED', 'the task was cancelled')));
    try {
      const lane = await this.#laneOf(pending);
      const { id } = pending.submission;
      if (!(await lane.remove(id))) await giveOrder(this.#parts.redis, id, 'cancel');
    } catch (error) {
      this.#log(error);
    }
  }

  /** Looks for what was not heard of: results, failures, tasks that are not in the queue any more. */
  async #look(): Promise<void> {
    if (this.#looking || this.#pending.size === 0) return;
    this.#looking = true;
    try {
      const some = [...this.#pending].slice(0, LOOKED_AT);
      for (const [id, pending] of some) {
        this.#pending.delete(id);
        this.#pending.set(id, pending);
      }
      await Promise.all(some.map(([, pending]) => this.#lookFor(pending)));
      await this.#tellUnserved();
    } catch (error) {
      this.#log(error);
    } finally {
      this.#looking = false;
    }
  }

  async #lookFor(pending: Pending): Promise<void> {
    const known = await (await this.#laneOf(pending)).stateOf(pending.submission.id);
    if (pending.ended || pending.settling) return;
    if (known === undefined) await this.#enqueue(pending);
    else if (known.state === 'completed') await this.#collect(pending);
    else if (known.state === 'failed') await this.#fail(pending, known.reason);
  }

  /** Says once of each kind of plans when nobody is there who takes them. */
  async #tellUnserved(): Promise<void> {
    const open = [...this.#pending.values()].filter(({ queue }) => queue === '').map(({ work }) => work);
    if (open.length === 0) return;
    const workers = await this.registry.workers();
    for (const work of open) {
      const whys = workers.map(({ abilities }) => refusal(work, abilities));
      const name = `${work.model.name} ${work.precision}`;
      if (whys.includes(undefined)) this.#told.delete(name);
      if (whys.includes(undefined) || this.#told.has(name)) continue;
      this.#told.add(name);
      const none = workers.length === 0 ? 'no worker is there' : `of ${workers.length} workers none can: ${whys[0]}`;
      this.#log(`plans for ${name} wait for a worker: ${none}`);
    }
  }

  #log(what: unknown): void {
    this.#parts.onLog(what instanceof Error ? what.message : String(what));
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#listening.close();
    for (const lane of this.#lanes.values()) await (await lane.catch(() => undefined))?.close();
  }
}
