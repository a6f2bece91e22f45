/**
 * One piece of work that several callers wait for. A caller whose signal aborts stops waiting; the work itself is
 * cancelled only when nobody waits any more, so one person's Ctrl-C does not end another's load.
 */
export class SharedTask<T> {
  readonly #controller = new AbortController();
  readonly #promise: Promise<T>;
  #waiting = 0;
  #settled = false;

  constructor(work: (signal: AbortSignal) => Promise<T>) {
    this.#promise = work(this.#controller.signal).finally(() => {
      this.#settled = true;
    });
    this.#promise.catch(() => undefined); // each caller gets the error from join
  }

  /** Nobody may join any more: the work was given up or is over without a result. */
  get abandoned(): boolean {
    return this.#controller.signal.aborted;
  }

  async join(signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    this.#waiting += 1;
    let onAbort: () => void = () => undefined;
    const aborted = new Promise<never>((_, reject) => {
      onAbort = () => reject(signal?.reason);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
    try {
      return await Promise.race([this.#promise, aborted]);
    } finally {
      signal?.removeEventListener('abort', onAbort);
      this.#waiting -= 1;
      if (this.#waiting === 0 && !this.#settled) this.#controller.abort(signal?.reason);
    }
  }
}
