/** Events from one who does not wait to one who does: what is not taken yet stands in a line. */
export class EventQueue<T> {
  readonly #waiting: T[] = [];
  #wake: () => void = () => undefined;
  #ended = false;
  #failure: { readonly error: unknown } | undefined;

  /** @param merge what shall stand in place of the newest event that waits and of this one; undefined keeps both */
  push(event: T, merge: (newest: T) => T | undefined = () => undefined): void {
    const newest = this.#waiting.at(-1);
    const merged = newest === undefined ? undefined : merge(newest);
    if (merged !== undefined) this.#waiting.pop();
    this.#waiting.push(merged ?? event);
    this.#wake();
  }

  /** No more events; what waits is still read. */
  end(): void {
    this.#ended = true;
    this.#wake();
  }

  /** As `end`, and the reader then gets the error. */
  fail(error: unknown): void {
    this.#failure = { error };
    this.end();
  }

  /** For one reader. */
  async *read(): AsyncGenerator<T, void, void> {
    for (;;) {
      const event = this.#waiting.shift();
      if (event !== undefined) yield event;
      else if (this.#failure !== undefined) throw this.#failure.error;
      else if (this.#ended) return;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }
}
