import { EventEmitter } from 'node:events';
import { EarlyEnd } from '../context/early-end.js';
import type { RunStateView } from '../context/run-state.js';
import type { DecodedImage } from '../native/types.js';
import { passesOf } from '../pipeline/plan.js';
import { FailureError } from '../request/errors.js';
import { isCancellation } from '../runtime/failures.js';
import type { RunEvent } from '../runtime/processing-runner.js';
import type { ExecutionQueue, Place } from '../runtime/queue.js';
import { walkedSteps } from '../sampling/walks.js';
import type { GenerationResponse } from './sdapi/bodies.js';

export type JobState = 'queued' | 'running' | 'done' | 'failed' | 'cancelled';
export type JobKind = 'txt2img' | 'img2img';

/** What a job tells while it goes on. */
export interface JobEvents {
  step: [RunStateView];
  preview: [DecodedImage];
  ended: [];
}

/** How many ended jobs are remembered, and how many characters of answers among them. */
const MAX_ENDED = 64;
const MAX_ANSWER_CHARACTERS = 256 * 2 ** 20;

/** One request for pictures from its arrival on. */
export class Job extends EventEmitter<JobEvents> {
  readonly earlyEnd = new EarlyEnd();
  readonly created = new Date();
  readonly #controller = new AbortController();
  started: Date | undefined;
  ended: Date | undefined;
  view: RunStateView | undefined;
  /** Steps of each pass, once the run is planned. */
  passes: readonly number[] = [];
  preview: DecodedImage | undefined;
  /** Counts the previews. */
  previewId = 0;
  outcome: 'done' | 'failed' | 'cancelled' | undefined;
  error: unknown;
  response: GenerationResponse | undefined;

  /** @param steps of one pass, as asked for: the state knows better once the run is planned */
  constructor(
    readonly id: string,
    readonly kind: JobKind,
    readonly place: Place,
    readonly batches: number,
    readonly steps: number,
  ) {
    super();
    this.setMaxListeners(0);
  }

  get state(): JobState {
    return this.outcome ?? (this.started === undefined ? 'queued' : 'running');
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Ends it within one model evaluation and keeps nothing. */
  cancel(): void {
    this.#controller.abort(new FailureError('E_CANCELLED', 'the job was cancelled'));
  }

  /** 0 … 1. */
  get progress(): number {
    if (this.outcome !== undefined) return 1;
    const { view } = this;
    if (view === undefined || this.started === undefined) return 0;
    const batches = Math.max(1, view.batches || this.batches);
    const within = view.steps === 0 ? 0 : view.step / view.steps;
    return Math.min(1, 0.01 + (Math.max(0, view.batch - 1) + within) / batches);
  }

  /** What a run tells. */
  onEvent = (event: RunEvent): void => {
    this.view = event.state;
    if (event.type === 'prepared') this.passes = passesOf(event.prepared.plan).map(({ sigmas }) => walkedSteps(sigmas));
    if (event.type === 'stage' && event.stage === 'execute') this.started = new Date();
    if (event.type !== 'step') return;
    this.emit('step', event.state);
    const preview = event.previews?.[0];
    if (preview === undefined) return;
    this.preview = preview;
    this.previewId += 1;
    this.emit('preview', preview);
  };

  finish(outcome: Job['outcome'], error?: unknown): void {
    this.outcome = outcome;
    this.error = error;
    this.ended = new Date();
    this.preview = undefined;
    this.emit('ended');
  }
}

/** Jobs by id: those under way, and the last ones that ended. */
export class JobStore {
  readonly #queue: ExecutionQueue;
  readonly #jobs = new Map<string, Job>();
  readonly #onEnd: (job: Job) => void;
  #idle: () => void = () => undefined;

  constructor(queue: ExecutionQueue, onEnd: (job: Job) => void = () => undefined) {
    this.#queue = queue;
    this.#onEnd = onEnd;
  }

  find(id: string): Job | undefined {
    return this.#jobs.get(id);
  }

  /** The one that computes; else the first that will. */
  get active(): Job | undefined {
    const open = this.open;
    return open.find(({ place }) => place.state === 'running') ?? open.find(({ state }) => state === 'running');
  }

  /** Jobs that have not ended, in the order in which they came. */
  get open(): Job[] {
    return [...this.#jobs.values()].filter(({ outcome }) => outcome === undefined);
  }

  /**
   * Takes a place and begins.
   * @param keepResponse whether the answer is kept for those who ask later
   * @throws FailureError E_QUEUE_FULL, E_EXISTS at once; the promise tells the rest
   */
  start(
    ask: { readonly id: string; readonly kind: JobKind; readonly batches: number; readonly steps: number },
    work: (job: Job) => Promise<GenerationResponse>,
    keepResponse: boolean,
  ): { readonly job: Job; readonly response: Promise<GenerationResponse> } {
    const known = this.#jobs.get(ask.id);
    if (known?.outcome !== undefined) this.#jobs.delete(ask.id);
    const job = new Job(ask.id, ask.kind, this.#queue.enter(ask.id), ask.batches, ask.steps);
    this.#jobs.set(ask.id, job);
    const response = this.#run(job, work, keepResponse);
    response.catch(() => undefined); // kept in the job, and told to those who wait
    return { job, response };
  }

  async #run(job: Job, work: (job: Job) => Promise<GenerationResponse>, keepResponse: boolean) {
    try {
      const response = await work(job);
      if (keepResponse) job.response = response;
      job.finish('done');
      return response;
    } catch (error) {
      const cancelled = error instanceof FailureError && error.code === 'E_CANCELLED';
      job.finish(cancelled || isCancellation(error, job.signal) ? 'cancelled' : 'failed', error);
      throw error;
    } finally {
      job.place.leave();
      this.#forget();
      this.#onEnd(job);
      if (this.open.length === 0) this.#idle();
    }
  }

  /** Waits until nothing is under way. */
  async drain(): Promise<void> {
    while (this.open.length > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    }
  }

  /** Of ended jobs the oldest go first. */
  #forget(): void {
    const ended = [...this.#jobs.values()].filter(({ outcome }) => outcome !== undefined);
    const size = ({ response }: Job): number =>
      response === undefined ? 0 : response.images.reduce((sum, image) => sum + image.length, 0);
    let characters = ended.reduce((sum, job) => sum + size(job), 0);
    let count = ended.length;
    for (const job of ended) {
      if (count <= MAX_ENDED && characters <= MAX_ANSWER_CHARACTERS) return;
      this.#jobs.delete(job.id);
      characters -= size(job);
      count -= 1;
    }
  }
}
