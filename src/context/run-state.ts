import type { EarlyEnd } from './early-end.js';

/** `prepare`: nothing is computed yet; `finalize` always comes, whatever the outcome. */
export type RunPhase = 'prepare' | 'execute' | 'finalize' | 'ended';
export type RunOutcome = 'done' | 'cancelled' | 'failed';

/** What progress displays read: a copy at one moment. */
export interface RunStateView {
  readonly id: string;
  readonly phase: RunPhase;
  /** Which of the three endings, once there is one. */
  readonly outcome: RunOutcome | undefined;
  /** Batch under way, from 1; 0 before the first. */
  readonly batch: number;
  readonly batches: number;
  /** Sampler steps completed of the batch under way. */
  readonly step: number;
  readonly steps: number;
  readonly sigma: number;
  /** Model evaluations of the batch under way. */
  readonly evaluations: number;
  readonly imagesDone: number;
  readonly images: number;
}

/** The only mutable part of a run. The runner writes it; `interrupt` may come from anywhere. */
export class RunState {
  readonly id: string;
  /** Set where the run may be asked to end early and keep what it has. */
  readonly earlyEnd: EarlyEnd | undefined;
  readonly #controller = new AbortController();
  readonly #detach: () => void;
  #view: RunStateView;

  /** @param signal interrupts the run when it aborts; an already aborted one counts. */
  constructor(id: string, signal?: AbortSignal, earlyEnd?: EarlyEnd) {
    this.id = id;
    this.earlyEnd = earlyEnd;
    this.#view = {
      id,
      phase: 'prepare',
      outcome: undefined,
      batch: 0,
      batches: 0,
      step: 0,
      steps: 0,
      sigma: 0,
      evaluations: 0,
      imagesDone: 0,
      images: 0,
    };
    const relay = (): void => this.#controller.abort(signal?.reason);
    this.#detach = () => signal?.removeEventListener('abort', relay);
    if (signal?.aborted) relay();
    else signal?.addEventListener('abort', relay, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  interrupt(reason?: unknown): void {
    this.#controller.abort(reason);
  }

  view(): RunStateView {
    return this.#view;
  }

  enter(phase: Exclude<RunPhase, 'ended'>): void {
    this.#update({ phase });
  }

  plan(images: number, batches: number, steps: number): void {
    this.#update({ images, batches, steps });
  }

  beginBatch(batch: number): void {
    this.earlyEnd?.beginBatch();
    this.#update({ batch, step: 0, sigma: 0, evaluations: 0 });
  }

  completeStep(step: number, sigma: number, evaluations: number): void {
    this.#update({ step, sigma, evaluations });
  }

  completeImages(imagesDone: number): void {
    this.#update({ imagesDone });
  }

  /** Which ending it is; the first one stays. */
  decide(outcome: RunOutcome): void {
    if (this.#view.outcome === undefined) this.#update({ outcome });
  }

  /** Nothing happens any more: lets go of the outer signal. */
  close(): void {
    this.#detach();
    this.#update({ phase: 'ended' });
  }

  #update(changes: Partial<RunStateView>): void {
    this.#view = Object.freeze({ ...this.#view, ...changes });
  }
}
