import { createHash } from 'node:crypto';
import type { RuntimeContext } from '../context/runtime-context.js';
import type { GeneratedImage, RemoteExecutor, RemoteHooks } from '../pipeline/execute.js';
import { type GenerationPlan, imageCount, pictureSize } from '../pipeline/plan.js';
import { FailureError } from '../request/errors.js';
import { walkedSteps } from '../sampling/walks.js';
import type { Submission } from './client.js';
import type { TaskResult } from './result.js';
import type { News } from './task.js';

/** Plans of batches come after those that somebody waits for. */
const BATCH_PRIORITY = 10;

export interface FleetExecutorParts {
  /** A client's, or something around it. */
  readonly submit: (submission: Submission, context: RuntimeContext) => Promise<TaskResult>;
  /** Whether somebody waits for each run by itself and may end it early; else equal plans are made once. */
  readonly interactive: boolean;
}

/** The id of a run's own task: two runs of one plan may be told different things. */
function ownId(planSha256: string, runId: string): string {
  return `${planSha256}-${createHash('sha256').update(runId).digest('hex').slice(0, 16)}`;
}

/** @throws FailureError E_RESULT where a result has other pictures than the plan asks for */
function requireAll(plan: GenerationPlan, images: readonly GeneratedImage[], isWhole: boolean): void {
  const seeds = plan.batches.flat();
  // A run that ended early may have stopped before its second pass.
  const sizes = isWhole ? [pictureSize(plan)] : [pictureSize(plan), plan];
  const isRight = images.every(
    ({ index, seed, width, height }, i) =>
      index === i && seed === seeds[i] && sizes.some((size) => size.width === width && size.height === height),
  );
  if (isRight && (isWhole ? images.length === seeds.length : images.length <= seeds.length)) return;
  throw new FailureError('E_RESULT', 'a worker gave other pictures than the plan asks for');
}

/** Runs of this process, computed by the fleet. */
export class FleetExecutor implements RemoteExecutor {
  readonly #parts: FleetExecutorParts;

  constructor(parts: FleetExecutorParts) {
    this.#parts = parts;
  }

  async *execute(plan: GenerationPlan, context: RuntimeContext, hooks: RemoteHooks) {
    const { state } = context;
    const { interactive, submit } = this.#parts;
    const { planSha256, start: begins } = hooks;
    state.plan(imageCount(plan), plan.batches.length, walkedSteps(plan.sigmas));
    let started = false;
    const start = (): void => {
      if (!started) hooks.onStarted();
      started = true;
    };
    const onNews = (news: News): void => {
      start();
      if (news.kind === 'started') return;
      if (news.batch !== state.view().batch) state.beginBatch(news.batch);
      state.completeStep(news.step, news.sigma, news.evaluations);
      hooks.onPreviews(news.previews.length === 0 ? undefined : news.previews);
    };
    const earlyEnd = interactive ? state.earlyEnd : undefined;
    const submission = {
      ...{ plan, planSha256, onNews, earlyEnd, previewEvery: hooks.previewEvery, signal: state.signal },
      start: begins,
      id: interactive ? ownId(planSha256, state.id) : planSha256,
      priority: interactive ? 0 : BATCH_PRIORITY,
    };
    const { images, times } = await submit(submission, context);
    start();
    requireAll(plan, images, earlyEnd?.wanted !== true);
    for (const phase of ['load', 'encode', 'sample', 'decode'] as const) hooks.addTime(phase, times[phase]);
    let done = 0;
    for (const seeds of plan.batches) {
      const batch = images.slice(done, done + seeds.length);
      if (batch.length === 0) return;
      done += batch.length;
      state.completeImages(done);
      hooks.onProgress('image');
      yield batch.map((image) => (hooks.trail ? image : { ...image, trail: undefined }));
    }
  }
}
