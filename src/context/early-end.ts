/**
 * Asks a run for an early end that keeps what there is, as opposed to an abort, which keeps nothing: `skip` ends the
 * batch under way, `interrupt` that and all later ones. Both may come from anywhere, at any time.
 */
export class EarlyEnd {
  #interrupted = false;
  #skipped = false;
  #listener: () => void = () => undefined;

  get interrupted(): boolean {
    return this.#interrupted;
  }

  /** Whether the batch under way is to end. */
  get skipped(): boolean {
    return this.#skipped;
  }

  get wanted(): boolean {
    return this.#interrupted || this.#skipped;
  }

  interrupt(): void {
    this.#interrupted = true;
    this.#listener();
  }

  skip(): void {
    this.#skipped = true;
    this.#listener();
  }

  /** A skip is for one batch. */
  beginBatch(): void {
    this.#skipped = false;
  }

  /** Who is to be told; one at a time. */
  onWanted(listener: () => void): void {
    this.#listener = listener;
  }
}
