import type { EarlyEnd } from '../context/early-end.js';
import type { CommandOptions } from '../context/runtime-context.js';
import { type GenerationPlan, hashPlan } from '../pipeline/plan.js';
import { FailureError } from '../request/errors.js';
import type { ProcessingRunner, RunEvent } from '../runtime/processing-runner.js';
import type { Place } from '../runtime/queue.js';
import { getInputs } from './inputs.js';
import type { WorkerModels } from './models.js';
import type { TaskResult } from './result.js';
import type { BlobStore } from './stores/store.js';
import type { Task } from './task.js';

/** Where a worker's plans are computed. */
export interface Workshop {
  readonly runner: ProcessingRunner;
  readonly models: WorkerModels;
  /** As the worker was started. */
  readonly commandOptions: CommandOptions;
  /** The worker's name, which results carry. */
  readonly name: string;
}

/** One plan's turn. */
export interface Turn {
  readonly place: Place;
  readonly signal: AbortSignal;
  readonly earlyEnd: EarlyEnd | undefined;
  readonly onEvent: (event: RunEvent) => void;
}

function pathOf(known: WorkerModels['models'], what: string, wanted: { name: string; sha256: string }): string {
  const found = known.find(({ sha256 }) => sha256 === wanted.sha256);
  if (found !== undefined) return found.path;
  throw new FailureError('E_MODEL_NOT_FOUND', `the ${what} ${wanted.name} is not here any more`);
}

function optionsFor({ model, device }: GenerationPlan, { models, commandOptions }: Workshop): CommandOptions {
  const { vae } = model;
  const own = { ...commandOptions, model: pathOf(models.models, 'model', model), precision: device.precision };
  return vae === null
    ? { ...own, vae: 'none' }
    : { ...own, vae: pathOf([...models.vaes, ...models.models], 'VAE', vae) };
}

/**
 * Runs a task's plan here.
 * @throws UsageError, FailureError
 */
export async function perform(
  task: Task,
  shop: Workshop & { readonly inputs: BlobStore },
  turn: Turn,
): Promise<TaskResult> {
  const { plan, previewEvery } = task;
  const inputs = plan.start === null ? {} : await getInputs(plan.start, shop.inputs);
  const { images, times, prepared } = await shop.runner.run(
    { plan, trail: true, ...inputs },
    { commandOptions: optionsFor(plan, shop), previewEvery, ...turn },
  );
  const { load, encode, sample, decode, total } = times;
  const { device } = prepared.plan;
  return {
    plan: hashPlan(plan),
    worker: shop.name,
    device: { ...device, isa: prepared.context.device.isa },
    times: { load, encode, sample, decode, total },
    images,
  };
}
