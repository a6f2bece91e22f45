import { setMaxListeners } from 'node:events';
import { EXIT } from './failure.js';
import type { Io } from './io.js';

/** Ctrl-C and SIGTERM as an AbortSignal. A second one ends the process at once, as if nobody listened. */
export class Interrupt {
  readonly #controller = new AbortController();
  readonly #io: Io;
  #exitCode: number | undefined;

  constructor(io: Io) {
    this.#io = io;
    setMaxListeners(0, this.#controller.signal); // as many as there are runs at once
    io.signals.on('SIGINT', this.#onInterrupt);
    io.signals.on('SIGTERM', this.#onTerminate);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** 130 or 143 once interrupted. */
  get exitCode(): number | undefined {
    return this.#exitCode;
  }

  release(): void {
    this.#io.signals.off('SIGINT', this.#onInterrupt);
    this.#io.signals.off('SIGTERM', this.#onTerminate);
  }

  #onInterrupt = (): void => this.#stop(EXIT.interrupted);
  #onTerminate = (): void => this.#stop(EXIT.terminated);

  #stop(exitCode: number): void {
    this.#exitCode ??= exitCode;
    this.release();
    this.#controller.abort();
  }
}
