import type { CommandOptions } from '../context/runtime-context.js';
import type { Estimate } from '../native/types.js';
import { imageCount } from '../pipeline/plan.js';
import type { FinishedImage } from '../runtime/finalize.js';
import type { PhaseTimes } from '../runtime/metrics.js';
import type { PictureSink } from '../runtime/picture-sink.js';
import type { ProcessingRunner, RunEvent, RunSettings } from '../runtime/processing-runner.js';
import type { BatchItem } from './items.js';

/** What an item comes to, before anything of it is computed. */
export interface ItemPlan {
  readonly sha256: string;
  readonly steps: number;
  readonly width: number;
  readonly height: number;
  readonly images: number;
  readonly model: string;
  readonly estimate: Estimate;
  /** Lines for people, about what was decided for them. */
  readonly notes: readonly string[];
}

/** A finished item, as far as its maker tells. */
export interface MadeItem {
  readonly plan: ItemPlan;
  readonly images: readonly Omit<FinishedImage, 'pixels'>[];
  readonly times: PhaseTimes;
}

export interface MakeHooks {
  /** Given the pictures before `make` ends. Its `check` is awaited after `onPlan` and before anything is computed. */
  readonly sink: PictureSink;
  readonly onPlan: (plan: ItemPlan) => void;
  readonly signal: AbortSignal;
  readonly onEvent?: ((event: RunEvent) => void) | undefined;
}

/** Where items are made: in this process, or by others. */
export interface BatchExecutor {
  /** Items that it takes at once. */
  readonly concurrency: number;
  /** @throws UsageError, FailureError */
  plan(item: BatchItem, signal: AbortSignal): Promise<ItemPlan>;
  /** @throws UsageError, FailureError (E_CANCELLED after an abort), or what the sink throws */
  make(item: BatchItem, hooks: MakeHooks): Promise<MadeItem>;
}

type Prepared = Awaited<ReturnType<ProcessingRunner['prepare']>>;

function asPlan({ plan, planSha256, estimate, notes = [] }: Prepared, read: readonly string[]): ItemPlan {
  const { steps, width, height, model } = plan;
  return {
    sha256: planSha256,
    steps,
    width,
    height,
    images: imageCount(plan),
    model: model.name,
    estimate,
    notes: [...read, ...notes],
  };
}

/** Makes items through a runner of this process, whose provider keeps models open from one to the next. */
export class LocalExecutor implements BatchExecutor {
  readonly concurrency: number;
  readonly #runner: ProcessingRunner;
  readonly #commandOptions: CommandOptions;

  /** @param concurrency more than 1 where the runner has its plans computed by others */
  constructor(runner: ProcessingRunner, commandOptions: CommandOptions, concurrency = 1) {
    this.#runner = runner;
    this.#commandOptions = commandOptions;
    this.concurrency = concurrency;
  }

  async plan(item: BatchItem, signal: AbortSignal): Promise<ItemPlan> {
    const notes: string[] = [];
    const prepared = await this.#runner.prepare(await this.#input(item, notes), this.#settings(item, signal));
    prepared.context.model.release?.();
    return asPlan(prepared, notes);
  }

  async make(item: BatchItem, { sink, onPlan, signal, onEvent }: MakeHooks): Promise<MadeItem> {
    const notes: string[] = [];
    const { images, times, prepared } = await this.#runner.run(await this.#input(item, notes), {
      ...this.#settings(item, signal),
      sink,
      onEvent: (event) => {
        if (event.type === 'prepared') onPlan(asPlan(event.prepared, notes));
        onEvent?.(event);
      },
    });
    return { plan: asPlan(prepared, notes), images: images.map(({ pixels: _, ...image }) => image), times };
  }

  async #input({ kind, request }: BatchItem, notes: string[]): Promise<unknown> {
    return kind.toInput(request, this.#commandOptions.cwd, notes);
  }

  #settings(item: BatchItem, signal: AbortSignal): RunSettings {
    return {
      commandOptions: { ...this.#commandOptions, ...item.model },
      overrideOptions: item.options,
      signal,
    };
  }
}
