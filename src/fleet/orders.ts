import type { Redis } from 'ioredis';
import { anotherConnection } from './connection.js';
import { channelsOf, KEYS } from './names.js';
import { type Order, parseOrder } from './task.js';

/** An order waits for a task that is not begun. */
const ORDER_SECONDS = 3600;

/** Tells a task what to do, whether it runs or waits. */
export async function giveOrder(redis: Redis, task: string, order: Order): Promise<void> {
  await redis
    .pipeline()
    .set(KEYS.order(task), order, 'EX', ORDER_SECONDS)
    .publish(channelsOf(redis).order(task), order)
    .exec();
}

type Listener = (message: Buffer) => void;

/** One connection that listens to any number of channels. */
export class Listening {
  readonly #redis: Redis;
  readonly #listeners = new Map<string, Set<Listener>>();

  constructor(redis: Redis) {
    this.#redis = anotherConnection(redis);
    this.#redis.on('messageBuffer', (channel: Buffer, message: Buffer) => {
      for (const listener of this.#listeners.get(channel.toString()) ?? []) listener(message);
    });
  }

  /** @returns how to end it */
  async to(channel: string, listener: Listener): Promise<() => void> {
    const known = this.#listeners.get(channel);
    const all = known ?? new Set<Listener>();
    all.add(listener);
    this.#listeners.set(channel, all);
    if (known === undefined) await this.#redis.subscribe(channel);
    return () => {
      all.delete(listener);
      if (all.size > 0 || this.#listeners.get(channel) !== all) return;
      this.#listeners.delete(channel);
      this.#redis.unsubscribe(channel).catch(() => undefined); // closing
    };
  }

  close(): void {
    this.#redis.disconnect();
  }
}

/** Hears the orders for one task, those from before it was begun too. @returns how to end it */
export async function hearOrders(
  redis: Redis,
  listening: Listening,
  task: string,
  onOrder: (order: Order) => void,
): Promise<() => void> {
  const hear = (text: string | null): void => {
    const order = parseOrder(text);
    if (order !== undefined) onOrder(order);
  };
  const end = await listening.to(channelsOf(redis).order(task), (message) => hear(message.toString()));
  hear(await redis.get(KEYS.order(task)));
  return end;
}
