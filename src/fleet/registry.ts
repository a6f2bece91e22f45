import type { Redis } from 'ioredis';
import { z } from 'zod';
import { abilitiesSchema, classQueue, classSchema, type WorkClass } from './classes.js';
import { KEYS } from './names.js';

/** How often a worker says that it is there, and after how long without a word it is not. */
export const BEAT_MS = 5000;
const GONE_MS = 3 * BEAT_MS;

export const WORKER_STATES = ['idle', 'working', 'draining', 'resting', 'aside'] as const;

/** What a worker says of itself. */
const workerSchema = z.strictObject({
  id: z.string().max(200),
  /** Given, or its host and process: what it is set aside by. */
  name: z.string().max(200),
  host: z.string(),
  pid: z.number().int(),
  /** Of sdgen. */
  version: z.string(),
  abilities: abilitiesSchema,
  concurrency: z.number().int(),
  startedAt: z.string(),
  state: z.enum(WORKER_STATES),
  /** The model that is in memory. */
  loaded: z.string().nullable(),
  running: z.number().int(),
  /** Plans since it began. */
  done: z.number().int(),
  failed: z.number().int(),
  /** Plans that another worker took over meanwhile. */
  lost: z.number().int(),
  pictures: z.number().int(),
  /** Pictures a minute, and the share of time that it computed, over the last minute. */
  rate: z.number(),
  busy: z.number(),
  /** Why it last failed, or rests. */
  trouble: z.string().nullable(),
});
export type WorkerInfo = Readonly<z.output<typeof workerSchema>>;

/** A worker that was caught with a wrong result. */
const asideSchema = z.strictObject({ why: z.string(), plan: z.string(), at: z.string() });
export type Aside = Readonly<z.output<typeof asideSchema>>;

function parseJson<T>(schema: z.ZodType<T>, text: string | null | undefined): T | undefined {
  try {
    const result = schema.safeParse(JSON.parse(text ?? ''));
    return result.success ? result.data : undefined;
  } catch {
    return undefined; // of another version, or nobody's
  }
}

/** Who is there, what is asked for, and who is set aside: the part of the fleet that BullMQ does not know. */
export class Registry {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  /** Time by the queue's clock (ms): those of the machines may differ. */
  async now(): Promise<number> {
    const [seconds, microseconds] = await this.#redis.time();
    return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000);
  }

  async announce(worker: WorkerInfo): Promise<void> {
    const now = await this.now();
    await this.#redis
      .pipeline()
      .set(KEYS.worker(worker.id), JSON.stringify(worker), 'PX', GONE_MS)
      .zadd(KEYS.workers, String(now), worker.id)
      .exec();
  }

  async forget(id: string): Promise<void> {
    await this.#redis.pipeline().del(KEYS.worker(id)).zrem(KEYS.workers, id).exec();
  }

  /** Those that were heard of lately; the others are struck off. */
  async workers(): Promise<WorkerInfo[]> {
    const ids = await this.#redis.zrange(KEYS.workers, '0', '-1');
    if (ids.length === 0) return [];
    const texts = await this.#redis.mget(ids.map((id) => KEYS.worker(id)));
    const gone = ids.filter((_, i) => texts[i] === null);
    if (gone.length > 0) await this.#redis.zrem(KEYS.workers, ...gone);
    return texts.flatMap((text) => parseJson(workerSchema, text) ?? []);
  }

  async registerClass(work: WorkClass): Promise<string> {
    const queue = classQueue(work);
    await this.#redis.hset(KEYS.classes, queue, JSON.stringify(work));
    return queue;
  }

  /** By queue. One whose name does not follow from what it asks is nobody's. */
  async classes(): Promise<Map<string, WorkClass>> {
    const all = Object.entries(await this.#redis.hgetall(KEYS.classes));
    const known = all.flatMap(([queue, text]): [string, WorkClass][] => {
      const work = parseJson(classSchema, text);
      return work === undefined || classQueue(work) !== queue ? [] : [[queue, work]];
    });
    return new Map(known);
  }

  async setAside(name: string, aside: Aside): Promise<void> {
    await this.#redis.hset(KEYS.aside, name, JSON.stringify(aside));
  }

  /** @returns whether it was aside */
  async reinstate(name: string): Promise<boolean> {
    return (await this.#redis.hdel(KEYS.aside, name)) > 0;
  }

  async asideOf(name: string): Promise<Aside | undefined> {
    return parseJson(asideSchema, await this.#redis.hget(KEYS.aside, name));
  }

  async aside(): Promise<Map<string, Aside>> {
    const all = Object.entries(await this.#redis.hgetall(KEYS.aside));
    return new Map(
      all.flatMap(([name, text]) => {
        const aside = parseJson(asideSchema, text);
        return aside === undefined ? [] : [[name, aside] as const];
      }),
    );
  }
}
