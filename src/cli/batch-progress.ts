import cliProgress from 'cli-progress';
import { DEFAULTS } from '../request/limits.js';
import type { RunEvent } from '../runtime/processing-runner.js';
import { hasColor, type Io } from './io.js';
import { formatDuration, formatRate } from './progress.js';

const LINE_INTERVAL_MS = 10_000;

/** Steps of an item and pixels of its pictures: what its time grows with. */
export interface ItemWork {
  readonly steps: number;
  readonly pixels: number;
}

export interface BatchProgress {
  /** @param number the item's place in the batch; several may be under way */
  readonly onEvent: (number: number, work: ItemWork, event: RunEvent) => void;
  /** An item ended, made or not. */
  ended(number: number, work: ItemWork, made: boolean): void;
  /** Leaves the line, for other text; the next event takes it again. */
  pause(): void;
}

const sizeOf = ({ steps, pixels }: ItemWork): number => steps * pixels;

/** The whole batch: what is done of it, how fast, and how long the rest takes. */
class Tally {
  items = 0;
  #size = 0;
  /** Made in this run, from its first step on. */
  #madeSize = 0;
  #steps = 0;
  #since: number | undefined;
  /** Items under way. */
  readonly #current = new Map<number, { readonly steps: number; readonly size: number }>();

  constructor(
    readonly totalItems: number,
    readonly totalSize: number,
    readonly now: () => number,
  ) {}

  step(number: number, work: ItemWork, step: number, steps: number): void {
    this.#since ??= this.now();
    this.#current.set(number, { steps: step, size: (sizeOf(work) * step) / steps });
  }

  ended(number: number, work: ItemWork, made: boolean): void {
    this.items += 1;
    this.#size += sizeOf(work);
    if (made) {
      this.#madeSize += sizeOf(work);
      this.#steps += this.#current.get(number)?.steps ?? 0;
    }
    this.#current.delete(number);
  }

  #underWay(key: 'steps' | 'size'): number {
    return [...this.#current.values()].reduce((sum, one) => sum + one[key], 0);
  }

  get share(): number {
    return this.totalSize === 0 ? 1 : Math.min(1, (this.#size + this.#underWay('size')) / this.totalSize);
  }

  describe(): { rate: string; left: string } {
    const seconds = this.#since === undefined ? 0 : (this.now() - this.#since) / 1000;
    const made = this.#madeSize + this.#underWay('size');
    const left = this.totalSize - this.#size - this.#underWay('size');
    return {
      rate: formatRate(this.#steps + this.#underWay('steps'), seconds),
      left: made === 0 || seconds === 0 ? '-' : formatDuration((left * seconds) / made),
    };
  }
}

/** One bar over the whole batch. */
class BatchBar implements BatchProgress {
  readonly #tally: Tally;
  readonly #bar: cliProgress.SingleBar;
  #shown = false;
  #loading = '';

  constructor(io: Io, tally: Tally) {
    this.#tally = tally;
    const plain = !hasColor(io.stderr, io.env);
    this.#bar = new cliProgress.SingleBar(
      {
        format: '{items}/{all}{loading} [{bar}] {percentage} % {rate} ETA {left}',
        stream: io.stderr,
        clearOnComplete: true,
        hideCursor: null, // a killed process would leave the terminal without one
        barsize: 24,
        fps: 10,
        emptyOnZero: true,
        ...(plain ? { barCompleteChar: '#', barIncompleteChar: '.' } : {}),
      },
      cliProgress.Presets.shades_classic,
    );
  }

  onEvent = (number: number, work: ItemWork, event: RunEvent): void => {
    if (event.type === 'load') this.#loading = event.share < 1 ? ` loading ${Math.round(event.share * 100)} %` : '';
    else if (event.type === 'step')
      this.#tally.step(number, work, event.state.step, event.state.steps || DEFAULTS.steps);
    else return;
    this.#show();
  };

  ended(number: number, work: ItemWork, made: boolean): void {
    this.#tally.ended(number, work, made);
    if (this.#shown) this.#show();
  }

  #show(): void {
    const { items, totalItems: all } = this.#tally;
    const payload = { items, all, loading: this.#loading, ...this.#tally.describe() };
    const value = Math.round(this.#tally.share * 1000);
    if (this.#shown) this.#bar.update(value, payload);
    else this.#bar.start(1000, value, payload);
    this.#shown = true;
  }

  pause(): void {
    if (this.#shown) this.#bar.stop();
    this.#shown = false;
  }
}

/** A line now and then, for logs. */
class BatchLines implements BatchProgress {
  readonly #io: Io;
  readonly #tally: Tally;
  #lastLine: number;

  constructor(io: Io, tally: Tally) {
    this.#io = io;
    this.#tally = tally;
    this.#lastLine = tally.now();
  }

  onEvent = (number: number, work: ItemWork, event: RunEvent): void => {
    if (event.type !== 'step') return;
    this.#tally.step(number, work, event.state.step, event.state.steps);
    this.#tell();
  };

  ended(number: number, work: ItemWork, made: boolean): void {
    this.#tally.ended(number, work, made);
    this.#tell();
  }

  #tell(): void {
    if (this.#tally.now() - this.#lastLine < LINE_INTERVAL_MS) return;
    this.#lastLine = this.#tally.now();
    const { items, totalItems } = this.#tally;
    const { rate, left } = this.#tally.describe();
    this.#io.stderr.write(`${items} of ${totalItems} done, ${rate}, ETA ${left}\n`);
  }

  pause(): void {}
}

/** @param works of every line: how many items, and what each takes */
export function createBatchProgress(
  io: Io,
  works: readonly { readonly items: number; readonly work: ItemWork }[],
  now: () => number = () => performance.now(),
): BatchProgress {
  const items = works.reduce((sum, one) => sum + one.items, 0);
  const size = works.reduce((sum, one) => sum + one.items * sizeOf(one.work), 0);
  const tally = new Tally(items, size, now);
  return io.stderr.isTTY === true ? new BatchBar(io, tally) : new BatchLines(io, tally);
}
