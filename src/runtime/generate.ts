import { cacheFolder } from '../checkpoints/hash.js';
import { OptionStore, type OptionsInput } from '../context/options.js';
import type { Extension } from '../extensions/hooks.js';
import { ExtensionRegistry } from '../extensions/registry.js';
import type { DecodedImage, Estimate } from '../native/types.js';
import type { GenerationPlan } from '../pipeline/plan.js';
import type { CommandOptionsInput } from '../request/command-options.js';
import { UsageError } from '../request/errors.js';
import type { ImageToImageInput } from '../request/img2img.js';
import { DEFAULTS, type ImageFormat, LIMITS } from '../request/limits.js';
import type { TextToImageInput } from '../request/txt2img.js';
import { resolveCommandOptions } from './command-options.js';
import { EventQueue } from './event-queue.js';
import { type DescribedImage, encodeDescribed, type GenerationResult, requireFile } from './finalize.js';
import { CachedModelProvider, type ModelProvider } from './model-provider.js';
import type { PlanInput } from './prepare-plan.js';
import { ProcessingRunner, type RunEvent } from './processing-runner.js';

const MAX_EVERY = LIMITS.steps.max;

/** Which model on what, and how a run is watched. Relative paths start at the process's working folder. */
export interface GenerateSettings extends CommandOptionsInput {
  /** Keeps models open from call to call; without one the model is closed when the call is over. */
  readonly provider?: ModelProvider | undefined;
  /** Settings that a request does not hold, such as `eta`. */
  readonly options?: OptionsInput | undefined;
  /** Whose hooks take part in the run, in this order (docs/extension-api.md). */
  readonly extensions?: readonly Extension[] | undefined;
  /** Aborting it ends the iteration with a FailureError E_CANCELLED within one model evaluation. */
  readonly signal?: AbortSignal | undefined;
  /** Every n-th step shows the pictures as they stand; 0 or absent: none does. */
  readonly previewEvery?: number | undefined;
}

export type GenerateEvent =
  /** Everything is decided and nothing computed. */
  | {
      readonly type: 'prepared';
      readonly plan: GenerationPlan;
      readonly planSha256: string;
      readonly estimate: Estimate;
    }
  /** Weights are read; the share, 0 … 1. */
  | { readonly type: 'load'; readonly share: number }
  /** A step of a batch (both from 1) is done. A reader that is slower than the steps misses some. */
  | {
      readonly type: 'step';
      readonly batch: number;
      readonly batches: number;
      readonly step: number;
      readonly steps: number;
      /** Where the step began. */
      readonly sigma: number;
      readonly evaluations: number;
      /** The batch's pictures as they stand, one pixel for 8×8; of an earlier step where that one's event was missed. */
      readonly previews: readonly DecodedImage[] | undefined;
    }
  /** A picture is done. */
  | { readonly type: 'image'; readonly image: DescribedImage }
  /** All are. */
  | { readonly type: 'done'; readonly result: GenerationResult };

type StepEvent = Extract<GenerateEvent, { type: 'step' }>;

function asStep(event: Extract<RunEvent, { type: 'step' }>): StepEvent {
  const { batch, batches, step, steps, sigma, evaluations } = event.state;
  return { type: 'step', batch, batches, step, steps, sigma, evaluations, previews: event.previews };
}

/** Puts a run's event into the line, where it means something to the reader. */
function forward(queue: EventQueue<GenerateEvent>, event: RunEvent): void {
  if (event.type === 'prepared') {
    const { plan, planSha256, estimate } = event.prepared;
    queue.push({ type: 'prepared', plan, planSha256, estimate });
  } else if (event.type === 'load') {
    const load = { type: 'load', share: event.share } as const;
    queue.push(load, (newest) => (newest.type === 'load' ? load : undefined));
  } else if (event.type === 'step') {
    const step = asStep(event);
    queue.push(step, (newest) =>
      newest.type === 'step' && newest.batch === step.batch
        ? { ...step, previews: step.previews ?? newest.previews }
        : undefined,
    );
  } else if (event.type === 'picture') {
    queue.push({ type: 'image', image: event.picture });
  }
}

/**
 * Makes pictures and tells how it goes: `for await (const event of generate({ prompt: 'a fox' }, { model: 'fox' }))`.
 * With `initImages` pictures begin with these.
 * Nothing begins before the first event is asked for, and leaving the loop stops the run. Any number of calls may be
 * under way, in worker threads too; each gives what it gives alone.
 * @throws UsageError for a wrong request, FailureError (E_CANCELLED after an abort) for what could not be done
 */
export async function* generate(
  request: TextToImageInput | ImageToImageInput | PlanInput,
  settings: GenerateSettings,
): AsyncGenerator<GenerateEvent, void, void> {
  const { provider: given, options, signal, previewEvery, extensions = [], ...machine } = settings;
  if (
    previewEvery !== undefined &&
    !(Number.isInteger(previewEvery) && previewEvery >= 0 && previewEvery <= MAX_EVERY)
  ) {
    throw new UsageError(`previewEvery must be a whole number from 0 to ${MAX_EVERY}`, 'previewEvery');
  }
  const commandOptions = resolveCommandOptions(machine, { cwd: process.cwd(), env: process.env });
  const provider = given ?? new CachedModelProvider({ cacheFolder: cacheFolder(process.env) });
  // A hook that fails is a line for people where there is a terminal; a library's user gets a process warning.
  const registry = new ExtensionRegistry((message) => process.emitWarning(message, 'SdgenExtension'));
  for (const extension of extensions) registry.register(extension, 'an extension');
  const left = new AbortController();
  const queue = new EventQueue<GenerateEvent>();
  const run = new ProcessingRunner({ provider, options: new OptionStore(options), extensions: registry })
    .run(request, {
      commandOptions,
      signal: signal === undefined ? left.signal : AbortSignal.any([signal, left.signal]),
      previewEvery,
      onEvent: (event) => forward(queue, event),
    })
    .then(
      (result) => {
        queue.push({ type: 'done', result });
        queue.end();
      },
      (error: unknown) => queue.fail(error),
    );
  try {
    yield* queue.read();
  } finally {
    left.abort();
    await run;
    if (given === undefined) await provider.dispose();
  }
}

/**
 * A picture as the bytes of an image file that carries its parameters, and its record where it has a trail.
 * @param options.quality 1 … 100, of the formats that lose
 * @throws UsageError when the format cannot hold it
 */
export async function encodeImage(
  image: DescribedImage,
  options: { readonly format?: ImageFormat; readonly quality?: number } = {},
): Promise<Uint8Array> {
  const { format = DEFAULTS.format, quality = DEFAULTS.quality } = options;
  requireFile(image, { format, quality });
  return encodeDescribed(image, { format, quality });
}
