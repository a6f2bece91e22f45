const WINDOW_MS = 60_000;

interface Done {
  readonly at: number;
  readonly pictures: number;
  readonly seconds: number;
}

/** What a worker has done, and how fast of late. */
export class Tallies {
  done = 0;
  failed = 0;
  lost = 0;
  pictures = 0;
  readonly #now: () => number;
  readonly #start: number;
  #recent: Done[] = [];

  /** @param now a clock in milliseconds */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#start = now();
  }

  /** @param seconds of computing */
  add(pictures: number, seconds: number): void {
    this.done += 1;
    this.pictures += pictures;
    this.#recent.push({ at: this.#now(), pictures, seconds });
    this.#forget();
  }

  #forget(): void {
    const oldest = this.#now() - WINDOW_MS;
    this.#recent = this.#recent.filter(({ at }) => at >= oldest);
  }

  view() {
    this.#forget();
    const span = Math.max(1, Math.min(WINDOW_MS, this.#now() - this.#start)) / 1000;
    const sum = (key: 'pictures' | 'seconds'): number => this.#recent.reduce((all, one) => all + one[key], 0);
    const { done, failed, lost, pictures } = this;
    return {
      done,
      failed,
      lost,
      pictures,
      rate: (60 * sum('pictures')) / span,
      busy: Math.min(1, sum('seconds') / span),
    };
  }
}
