export const PHASES = ['load', 'encode', 'sample', 'decode', 'save'] as const;
export type Phase = (typeof PHASES)[number];
/** Seconds of each phase, and of the whole run. */
export type PhaseTimes = Readonly<Record<Phase | 'total', number>>;

/** Sums up how long each phase of one run took. */
export class Metrics {
  readonly #seconds: Record<Phase, number> = { load: 0, encode: 0, sample: 0, decode: 0, save: 0 };
  readonly #now: () => number;
  readonly #start: number;

  /** @param now a clock in milliseconds */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#start = now();
  }

  /** Adds the time of `work` to a phase, however it ends. */
  time = async <T>(phase: Phase, work: () => Promise<T>): Promise<T> => {
    const start = this.#now();
    try {
      return await work();
    } finally {
      this.#seconds[phase] += (this.#now() - start) / 1000;
    }
  };

  /** Time that was measured elsewhere. */
  add = (phase: Phase, seconds: number): void => {
    this.#seconds[phase] += seconds;
  };

  times(): PhaseTimes {
    return { ...this.#seconds, total: (this.#now() - this.#start) / 1000 };
  }
}
