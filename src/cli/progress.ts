import cliProgress from 'cli-progress';
import type { RunStateView } from '../context/run-state.js';
import { pictureSize } from '../pipeline/plan.js';
import type { RunEvent } from '../runtime/processing-runner.js';
import { hasColor, type Io } from './io.js';

/** Between two lines where there is no terminal. */
const LINE_INTERVAL_MS = 10_000;

/** Shows a run on stderr. */
export interface Progress {
  readonly onEvent: (event: RunEvent) => void;
  /** Leaves the line; safe to call twice. */
  stop(): void;
}

/** "1.25 it/s", or "1.60 s/it" below one a second. */
export function formatRate(steps: number, seconds: number): string {
  if (steps === 0 || seconds <= 0) return '- it/s';
  const rate = steps / seconds;
  return rate >= 1 ? `${rate.toFixed(2)} it/s` : `${(1 / rate).toFixed(2)} s/it`;
}

/** "0:07", "2:05:00". */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const pad = (value: number): string => String(value).padStart(2, '0');
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours > 0 ? `${hours}:${pad(minutes)}:${pad(whole % 60)}` : `${minutes}:${pad(whole % 60)}`;
}

/** Steps of the whole run and its speed, from the first step on (the first one is not timed: it warms up). */
class Speed {
  #since: number | undefined;
  #base = 0;

  constructor(readonly now: () => number) {}

  done(state: RunStateView): number {
    return Math.max(0, state.batch - 1) * state.steps + state.step;
  }

  describe(state: RunStateView): { rate: string; eta: string } {
    const done = this.done(state);
    if (this.#since === undefined) {
      this.#since = this.now();
      this.#base = done;
    }
    const seconds = (this.now() - this.#since) / 1000;
    const steps = done - this.#base;
    const left = state.steps * state.batches - done;
    const eta = steps === 0 ? '-' : formatDuration((left * seconds) / steps);
    return { rate: formatRate(steps, seconds), eta };
  }
}

function batchLabel(state: RunStateView): string {
  return state.batches > 1 ? `batch ${state.batch}/${state.batches} ` : '';
}

/** One line that is rewritten. */
class BarProgress implements Progress {
  readonly #bar: cliProgress.SingleBar;
  readonly #speed: Speed;
  /** What the bar counts just now; undefined while there is none. */
  #what: string | undefined;

  constructor(io: Io, now: () => number) {
    this.#speed = new Speed(now);
    const plain = !hasColor(io.stderr, io.env);
    this.#bar = new cliProgress.SingleBar(
      {
        format: '{what} [{bar}] {value}/{total} {rate} ETA {left}',
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

  onEvent = (event: RunEvent): void => {
    if (event.type === 'load') {
      this.#show('loading', Math.round(event.share * 100), 100, { rate: '%', eta: '-' });
    } else if (event.type === 'step') {
      const { state } = event;
      const total = state.steps * state.batches;
      this.#show(`${batchLabel(state)}sampling`, this.#speed.done(state), total, this.#speed.describe(state));
    } else if (event.type === 'image') {
      const { state } = event;
      this.#show('decoding', state.imagesDone, state.images, { rate: 'images', eta: '-' });
    } else if (event.type === 'ended') {
      this.stop();
    }
  };

  #show(what: string, value: number, total: number, { rate, eta }: { rate: string; eta: string }): void {
    const payload = { what, rate, left: eta };
    if (this.#what === what) {
      this.#bar.update(value, payload);
      return;
    }
    this.stop();
    this.#bar.start(total, value, payload);
    this.#what = what;
  }

  stop(): void {
    if (this.#what !== undefined) this.#bar.stop();
    this.#what = undefined;
  }
}

/** A line now and then, for logs. */
class LineProgress implements Progress {
  readonly #io: Io;
  readonly #now: () => number;
  readonly #speed: Speed;
  #lastLine: number;
  /** What the run is, told when it begins to compute: before that it may still be refused. */
  #about = '';

  constructor(io: Io, now: () => number) {
    this.#io = io;
    this.#now = now;
    this.#speed = new Speed(now);
    this.#lastLine = now();
  }

  onEvent = (event: RunEvent): void => {
    if (event.type === 'prepared') {
      const { plan } = event.prepared;
      const pictures = plan.batches.flat().length;
      const { width, height } = pictureSize(plan);
      const more = plan.hires === null ? '' : ` and ${plan.hires.steps} of ${plan.hires.sampler.name}`;
      this.#about =
        `${pictures} ${pictures === 1 ? 'picture' : 'pictures'} of ${width}x${height}, ${plan.steps} steps of ` +
        `${plan.sampler.name}${more} on ${plan.device.name} ${plan.device.precision}, model ${plan.model.name}`;
    } else if (event.type === 'stage' && event.stage === 'execute') {
      this.#line(this.#about);
    } else if (event.type === 'step') {
      const { state } = event;
      const { rate, eta } = this.#speed.describe(state);
      const isLast = state.step === state.steps;
      if (!isLast && this.#now() - this.#lastLine < LINE_INTERVAL_MS) return;
      this.#line(`${batchLabel(state)}step ${state.step}/${state.steps}, ${rate}, ETA ${eta}`);
    }
  };

  #line(text: string): void {
    this.#lastLine = this.#now();
    this.#io.stderr.write(`${text}\n`);
  }

  stop(): void {
    this.#lastLine = this.#now();
  }
}

export function createProgress(io: Io, now: () => number = () => performance.now()): Progress {
  return io.stderr.isTTY === true ? new BarProgress(io, now) : new LineProgress(io, now);
}
