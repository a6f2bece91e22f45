import { setTimeout as sleep } from 'node:timers/promises';
import { type Job, UnrecoverableError } from 'bullmq';
import type { Redis } from 'ioredis';
import { ExecutionQueue } from '../runtime/queue.js';
import { type Abilities, type Choice, chooseOrder, refusal, type WorkClass } from './classes.js';
import { Fetcher } from './fetcher.js';
import { channelsOf, ownQueue, PREFIX } from './names.js';
import { Listening } from './orders.js';
import type { Workshop } from './perform.js';
import { BEAT_MS, Registry, type WorkerInfo } from './registry.js';
import type { BlobStore } from './stores/store.js';
import { Tallies } from './tallies.js';
import { TaskWork } from './task-work.js';

/** How often a plan may be lost together with its worker before it counts as what killed them. */
const MAX_LOSSES = 4;
/** An idle worker looks by itself now and then, should the bell not have been heard. */
const IDLE_MS = 2000;
/** How long a worker rests after a fault of its own, doubled each time in a row. */
const REST_MS = 5000;
const LONGEST_REST_MS = 300_000;

export interface FleetWorkerParts {
  readonly redis: Redis;
  readonly shop: Workshop;
  readonly abilities: Abilities;
  /** Where results go that are asked for there: the queue itself, and the shared one where there is one. */
  readonly stores: { readonly queue: BlobStore; readonly shared: BlobStore | undefined };
  /** Plans at once: one computes, the others are fetched and given back meanwhile. */
  readonly concurrency: number;
  /** After how long without a word a plan goes to another worker. */
  readonly leaseMs: number;
  readonly id: string;
  readonly facts: Pick<WorkerInfo, 'host' | 'pid' | 'version' | 'startedAt'>;
  /** A line for the worker's own log. */
  readonly onLog: (level: 'info' | 'warn', message: string) => void;
  readonly restMs?: number | undefined;
}

interface Taken {
  readonly job: Job;
  readonly token: string;
  readonly model: string | undefined;
}

/**
 * Takes plans from the queues that it can serve, one class of plans a queue, and gives their results back. BullMQ keeps
 * the queues, counts tries and hands on what a lost worker held; this decides from which queue the next plan comes.
 */
export class FleetWorker {
  readonly #parts: FleetWorkerParts;
  readonly #registry: Registry;
  readonly #listening: Listening;
  readonly #queues = new Map<string, Fetcher>();
  readonly #tallies = new Tallies();
  readonly #work: TaskWork;
  readonly #drain = new AbortController();
  readonly #abort = new AbortController();
  readonly #told = new Set<string>();
  #classes = new Map<string, WorkClass>();
  #classesAt = 0;
  #loaded: { model: string; name: string; since: number } | undefined;
  #tokens = 0;
  #faults = 0;
  #rest: Promise<void> | undefined;
  #isAside = false;
  #trouble: string | null = null;
  #ring: () => void = () => undefined;
  #bell: Promise<void> = Promise.resolve();

  constructor(parts: FleetWorkerParts) {
    this.#parts = parts;
    this.#registry = new Registry(parts.redis);
    this.#listening = new Listening(parts.redis);
    this.#resetBell();
    this.#work = new TaskWork({
      ...parts,
      listening: this.#listening,
      compute: new ExecutionQueue({ limit: parts.concurrency }),
      abort: this.#abort.signal,
      tallies: this.#tallies,
    });
  }

  /** Takes no new plan and ends when those under way are done. */
  drain(): void {
    this.#drain.abort();
    this.#ring();
  }

  /** Ends at once: plans under way go back to their queues. */
  stop(): void {
    this.drain();
    this.#abort.abort();
  }

  /** Works until it is drained or stopped. */
  async run(): Promise<void> {
    const { concurrency, redis } = this.#parts;
    const unhear = await this.#listening.to(channelsOf(redis).doorbell, () => {
      this.#classesAt = 0;
      this.#ring();
    });
    await this.#beat();
    const beat = setInterval(() => void this.#beat(), BEAT_MS);
    try {
      await Promise.all(Array.from({ length: concurrency }, () => this.#slot()));
    } finally {
      clearInterval(beat);
      unhear();
      await this.#close();
    }
  }

  get #draining(): boolean {
    return this.#drain.signal.aborted;
  }

  async #slot(): Promise<void> {
    while (!this.#draining) {
      try {
        if (this.#rest !== undefined) await this.#rest;
        const taken = this.#draining || this.#isAside ? undefined : await this.#take();
        if (taken === undefined) await this.#idle();
        else await this.#one(taken);
      } catch (error) {
        this.#log('warn', `the queue: ${error instanceof Error ? error.message : error}`);
        await this.#pause(1000);
      }
    }
  }

  /** Of one plan: the work, and what its end says about this worker. */
  async #one({ job, token, model }: Taken): Promise<void> {
    if (model !== undefined && this.#loaded?.model !== model) {
      const name = [...this.#classes.values()].find((work) => work.model.sha256 === model)?.model.name ?? model;
      this.#loaded = { model, name, since: performance.now() };
    }
    const end = await this.#work.one(job, token);
    if (end.kind === 'done') this.#faults = 0;
    if (!('why' in end)) return;
    this.#trouble = end.why;
    this.#log('warn', `plan ${job.id?.slice(0, 12)}: ${end.why}`);
    if (end.kind === 'fault') this.#takeRest();
  }

  /** After a fault that is likely to meet the next plan too, so that the others get them. */
  #takeRest(): void {
    const { restMs = REST_MS } = this.#parts;
    const time = Math.min(LONGEST_REST_MS, restMs * 2 ** this.#faults);
    this.#faults += 1;
    this.#log('warn', `resting for ${time / 1000} s, so that other workers get the plans`);
    this.#rest = this.#pause(time).then(() => {
      this.#rest = undefined;
    });
    void this.#beat(); // what troubles it is told at once
  }

  async #take(): Promise<Taken | undefined> {
    const own = await this.#next(ownQueue(this.#parts.id));
    if (own !== undefined) return { ...own, model: undefined };
    await this.#readClasses();
    for (const { queue, model } of await this.#choices()) {
      if (this.#draining) return undefined;
      const next = await this.#next(queue);
      if (next !== undefined) return { ...next, model };
    }
    return undefined;
  }

  async #choices(): Promise<Choice[]> {
    const classes = [...this.#classes];
    if (classes.length === 0) return [];
    const lengths = this.#parts.redis.pipeline();
    for (const [queue] of classes) {
      lengths.llen(`${PREFIX}:${queue}:wait`).zcard(`${PREFIX}:${queue}:prioritized`);
    }
    const counts = (await lengths.exec())?.map(([, count]) => Number(count ?? 0)) ?? [];
    const choices = classes.map(([queue, { model }], i) => ({
      queue,
      model: model.sha256,
      waiting: (counts[2 * i] ?? 0) + (counts[2 * i + 1] ?? 0),
    }));
    const loaded = this.#loaded;
    return chooseOrder(choices, loaded && { model: loaded.model, sinceMs: performance.now() - loaded.since });
  }

  async #next(queue: string): Promise<{ job: Job; token: string } | undefined> {
    const worker = this.#queueOf(queue);
    this.#tokens += 1;
    const token = `${this.#parts.id}:${this.#tokens}`;
    const job: Job | undefined = await worker.getNextJob(token, { block: false });
    if (job === undefined) return undefined;
    if (job.deferredFailure === undefined || job.deferredFailure === '') return { job, token };
    // Its workers were lost too often: BullMQ leaves it to the next one to say so.
    await job.moveToFailed(new UnrecoverableError(job.deferredFailure), token);
    this.#tallies.failed += 1;
    return undefined;
  }

  #queueOf(name: string): Fetcher {
    const known = this.#queues.get(name);
    if (known !== undefined) return known;
    const { redis, leaseMs, id } = this.#parts;
    const worker = new Fetcher(name, null, {
      connection: redis,
      prefix: PREFIX,
      name: id,
      lockDuration: leaseMs,
      stalledInterval: Math.max(500, leaseMs / 2),
      maxStalledCount: MAX_LOSSES,
    });
    worker.on('error', (error) => this.#log('warn', `the queue: ${error.message}`));
    worker.startStalledCheckTimer().catch(() => undefined); // told as an error event
    this.#queues.set(name, worker);
    return worker;
  }

  async #readClasses(): Promise<void> {
    if (performance.now() - this.#classesAt < IDLE_MS && this.#classesAt > 0) return;
    const all = await this.#registry.classes();
    this.#classesAt = performance.now();
    this.#classes = new Map();
    for (const [queue, work] of all) {
      const why = refusal(work, this.#parts.abilities);
      if (why === undefined) {
        this.#classes.set(queue, work);
        this.#queueOf(queue); // what another worker was lost with does not wait, but must be found
      } else if (!this.#told.has(queue)) this.#log('info', `not for this worker: ${why}`);
      this.#told.add(queue);
    }
  }

  async #idle(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      timer = setTimeout(resolve, IDLE_MS * (0.75 + Math.random() / 2));
      void this.#bell.then(resolve);
    });
    clearTimeout(timer);
    this.#resetBell();
  }

  #resetBell(): void {
    this.#bell = new Promise((resolve) => {
      this.#ring = resolve;
    });
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#drain.signal }).catch(() => undefined); // draining
  }

  get #state(): WorkerInfo['state'] {
    if (this.#isAside) return 'aside';
    if (this.#draining) return 'draining';
    if (this.#rest !== undefined) return 'resting';
    return this.#work.running > 0 ? 'working' : 'idle';
  }

  async #beat(): Promise<void> {
    const { id, shop, facts, abilities, concurrency } = this.#parts;
    try {
      const aside = await this.#registry.asideOf(shop.name);
      if ((aside !== undefined) !== this.#isAside) {
        this.#log('warn', aside === undefined ? 'taken back: working again' : `set aside: ${aside.why}`);
      }
      this.#isAside = aside !== undefined;
      await this.#registry.announce({
        id,
        name: shop.name,
        ...facts,
        abilities,
        concurrency,
        state: this.#state,
        loaded: this.#loaded?.name ?? null,
        running: this.#work.running,
        ...this.#tallies.view(),
        trouble: this.#trouble,
      });
    } catch (error) {
      this.#log('warn', `cannot say that this worker is here: ${error instanceof Error ? error.message : error}`);
    }
  }

  async #close(): Promise<void> {
    this.#listening.close();
    await Promise.all([...this.#queues.values()].map((worker) => worker.close(true)));
    await this.#registry.forget(this.#parts.id);
  }

  #log(level: 'info' | 'warn', message: string): void {
    this.#parts.onLog(level, message);
  }
}
