import { FailureError } from '../request/errors.js';

/** Where a job stands: its request is checked, it waits for its turn, it computes, it has left. */
export type PlaceState = 'preparing' | 'waiting' | 'running' | 'left';

/** A job's place in the queue, taken before anything of it is done. */
export interface Place {
  readonly id: string;
  readonly state: PlaceState;
  /** Aborts when the queue is told to cancel this job. */
  readonly signal: AbortSignal;
  /**
   * Waits until it is this job's turn to compute. First come, first served, by the time of this call.
   * @throws the signal's reason when it aborts meanwhile
   */
  turn(signal: AbortSignal): Promise<void>;
  /** Gives the place up, whatever its state; the next one's turn comes. Idempotent. */
  leave(): void;
}

export interface QueueOptions {
  /** Jobs that may be there at once, the running ones included. */
  readonly limit: number;
  /** Jobs that may compute at once. */
  readonly concurrency?: number | undefined;
}

class QueuePlace implements Place {
  state: PlaceState = 'preparing';
  readonly controller = new AbortController();
  start: () => void = () => undefined;

  constructor(
    readonly id: string,
    readonly queue: ExecutionQueue,
  ) {}

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  async turn(signal: AbortSignal): Promise<void> {
    if (this.state !== 'preparing') throw new Error(`job ${this.id} has had its turn`);
    const either = AbortSignal.any([signal, this.signal]);
    either.throwIfAborted();
    this.state = 'waiting';
    let refuse: () => void = () => undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        this.start = resolve;
        refuse = () => reject(either.reason);
        either.addEventListener('abort', refuse, { once: true });
        this.queue.wait(this);
      });
    } finally {
      either.removeEventListener('abort', refuse);
    }
  }

  leave(): void {
    this.queue.drop(this);
  }
}

/**
 * A bounded queue around the computing alone: whoever enters may check and plan at once, and computes when its turn
 * comes. A job beyond the limit is refused instead of kept.
 */
export class ExecutionQueue {
  readonly #limit: number;
  readonly #concurrency: number;
  readonly #places = new Map<string, QueuePlace>();
  readonly #waiting: QueuePlace[] = [];

  constructor({ limit, concurrency = 1 }: QueueOptions) {
    this.#limit = limit;
    this.#concurrency = concurrency;
  }

  /** Jobs that are there, running ones included. */
  get size(): number {
    return this.#places.size;
  }

  /** Jobs that are there, in the order in which they came. */
  get places(): readonly Place[] {
    return [...this.#places.values()];
  }

  /** Jobs that wait for their turn, the next one first. */
  get waiting(): readonly Place[] {
    return [...this.#waiting];
  }

  /** @throws FailureError E_QUEUE_FULL, E_EXISTS when a job of that id is there */
  enter(id: string): Place {
    if (this.#places.has(id)) throw new FailureError('E_EXISTS', `a job ${id} is there already`);
    this.requirePlace();
    const place = new QueuePlace(id, this);
    this.#places.set(id, place);
    return place;
  }

  /** @throws FailureError E_QUEUE_FULL when nobody could enter now */
  requirePlace(): void {
    if (this.#places.size < this.#limit) return;
    throw new FailureError('E_QUEUE_FULL', `${this.#places.size} jobs are there already, which is the most`);
  }

  /** @returns whether such a job is there */
  cancel(id: string, reason?: unknown): boolean {
    const place = this.#places.get(id);
    place?.controller.abort(reason);
    return place !== undefined;
  }

  /** @internal */
  wait(place: QueuePlace): void {
    this.#waiting.push(place);
    this.#next();
  }

  /** @internal */
  drop(place: QueuePlace): void {
    if (place.state === 'left') return;
    place.state = 'left';
    this.#places.delete(place.id);
    const at = this.#waiting.indexOf(place);
    if (at >= 0) this.#waiting.splice(at, 1);
    this.#next();
  }

  #next(): void {
    const running = [...this.#places.values()].filter(({ state }) => state === 'running').length;
    for (let free = this.#concurrency - running; free > 0; free -= 1) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      next.state = 'running';
      next.start();
    }
  }
}
