import { randomUUID } from 'node:crypto';
import type { EarlyEnd } from '../context/early-end.js';
import type { OptionStore } from '../context/options.js';
import { RunState, type RunStateView } from '../context/run-state.js';
import type { CommandOptions, OpenModel } from '../context/runtime-context.js';
import type { ExtensionRegistry } from '../extensions/registry.js';
import { RunHooks } from '../extensions/run-hooks.js';
import { previewLatent } from '../image/preview.js';
import type { DecodedImage, OpProfile } from '../native/types.js';
import { type ExecuteHooks, executePlan, type GeneratedImage, type RemoteExecutor } from '../pipeline/execute.js';
import type { RandomInteger } from '../pipeline/seeds.js';
import type { ClipTokenizer } from '../prompt/tokenizer.js';
import type { FieldNaming } from '../request/describe.js';
import { asFailure, isCancellation } from './failures.js';
import { type DescribedImage, describeImage, finalizeRun, type GenerationResult, requireFiles } from './finalize.js';
import { whatFits } from './fitting.js';
import { availableMemory, hasRoom, type Room, requireMemory, roomOn } from './memory.js';
import { Metrics } from './metrics.js';
import type { ModelProvider } from './model-provider.js';
import type { PictureSink } from './picture-sink.js';
import { type PreparedRun, prepareRun, type Stage } from './prepare.js';
import { isPlanInput, preparePlan } from './prepare-plan.js';
import { ProfileSum } from './profile.js';
import type { Place } from './queue.js';
import { Tokenizers } from './tokenizers.js';

export type RunEvent =
  | { readonly type: 'stage'; readonly stage: Stage; readonly state: RunStateView }
  | { readonly type: 'prepared'; readonly prepared: PreparedRun; readonly state: RunStateView }
  | { readonly type: 'load'; readonly share: number; readonly state: RunStateView }
  | { readonly type: 'step'; readonly previews: readonly DecodedImage[] | undefined; readonly state: RunStateView }
  | { readonly type: 'picture'; readonly picture: DescribedImage; readonly state: RunStateView }
  | { readonly type: 'image' | 'ended'; readonly state: RunStateView };

export interface RunSettings {
  readonly commandOptions: CommandOptions;
  /** Options for this run alone (the webui's override_settings). */
  readonly overrideOptions?: unknown;
  readonly signal?: AbortSignal | undefined;
  /** Without one the pictures are only in the result. */
  readonly sink?: PictureSink | undefined;
  /** Every n-th step's event shows the pictures as they stand, where the model's latents can be; 0 or absent: none. */
  readonly previewEvery?: number | undefined;
  /** Whether every op is timed. */
  readonly profile?: boolean | undefined;
  readonly onEvent?: ((event: RunEvent) => void) | undefined;
  /** Lets the run end early and keep what it has. */
  readonly earlyEnd?: EarlyEnd | undefined;
  /** A place in a queue: the run computes when its turn comes, and leaves when it has computed. */
  readonly place?: Place | undefined;
  /** The run's id; a random one unless told otherwise. */
  readonly id?: string | undefined;
  /** How error messages name a request's fields. */
  readonly naming?: FieldNaming | undefined;
}

export interface RunnerParts {
  readonly provider: ModelProvider;
  readonly options: OptionStore;
  /** The tokenizer of a model; its own unless told otherwise. */
  readonly tokenizer?: ((model: OpenModel) => ClipTokenizer | Promise<ClipTokenizer>) | undefined;
  readonly random?: RandomInteger | undefined;
  /** Whose hooks every run calls. */
  readonly extensions?: ExtensionRegistry | undefined;
  /** Who computes the plans, where this process does not. */
  readonly remote?: RemoteExecutor | undefined;
  /** Bytes that can still be used. */
  readonly availableMemory?: (() => Promise<number | undefined>) | undefined;
  /** A clock in milliseconds. */
  readonly now?: (() => number) | undefined;
}

/** One run's own things, from its start to its end. */
interface Run {
  readonly input: unknown;
  readonly settings: RunSettings;
  readonly state: RunState;
  readonly metrics: Metrics;
  readonly profile: ProfileSum | undefined;
  readonly hooks: RunHooks;
}

/**
 * The only entry for whatever wants pictures: prepare → execute → finalize. Holds no run's state; any number of runs
 * may be under way and each gives what it gives alone.
 */
export class ProcessingRunner {
  readonly #parts: RunnerParts;
  readonly #tokenizers = new Tokenizers();

  constructor(parts: RunnerParts) {
    this.#parts = parts;
  }

  /**
   * Everything but the computing: the plan, its estimate, what "auto" chose. Reads no weight.
   * @throws UsageError, FailureError
   */
  async prepare(input: unknown, settings: RunSettings): Promise<PreparedRun> {
    const run = this.#begin(input, settings);
    try {
      return await this.#prepare(run);
    } catch (error) {
      throw asFailure(error, run.state.signal);
    } finally {
      run.state.close();
    }
  }

  /**
   * Makes the pictures of a request (`TextToImageInput`, or `ImageToImageInput`) or of a saved plan (`PlanInput`). Finalize runs however the rest ends, and the state says how.
   * @throws UsageError for a wrong request, FailureError (E_CANCELLED when interrupted) for what could not be done
   */
  async run(input: unknown, settings: RunSettings): Promise<GenerationResult> {
    const run = this.#begin(input, settings);
    const { state } = run;
    let prepared: PreparedRun | undefined;
    let images: readonly GeneratedImage[] = [];
    let failed = false;
    let failure: unknown;
    const fail = (error: unknown): void => {
      if (failed) return;
      failed = true;
      failure = asFailure(error, state.signal);
      state.decide(isCancellation(error, state.signal) ? 'cancelled' : 'failed');
    };
    try {
      prepared = await this.#prepare(run);
      await settings.place?.turn(state.signal);
      await this.#admit(prepared, settings);
      images = await this.#execute(run, prepared);
    } catch (error) {
      fail(error);
    } finally {
      settings.place?.leave();
      prepared?.context.model.release?.();
    }
    let result: GenerationResult | undefined;
    try {
      result = await this.#finalize(run, prepared, failed ? undefined : images);
    } catch (error) {
      fail(error);
    }
    state.decide('done');
    state.close();
    this.#tell(run, { type: 'ended', state: state.view() });
    if (failed || result === undefined) throw failure;
    return result;
  }

  /** The memory that a run can still have, where it would compute. */
  room({ context }: PreparedRun): Promise<Room> {
    const { provider, availableMemory: available = availableMemory } = this.#parts;
    return roomOn(context.device.name, available, provider.deviceMemory?.bind(provider));
  }

  #begin(input: unknown, settings: RunSettings): Run {
    const { id = randomUUID(), signal, place, earlyEnd } = settings;
    const signals = [signal, place?.signal].filter((one) => one !== undefined);
    const either = signals.length < 2 ? signals[0] : AbortSignal.any(signals);
    return {
      input,
      settings,
      state: new RunState(id, either, earlyEnd),
      metrics: new Metrics(this.#parts.now),
      profile: settings.profile === true ? new ProfileSum() : undefined,
      hooks: new RunHooks(this.#parts.extensions, id),
    };
  }

  async #prepare(run: Run): Promise<PreparedRun> {
    const { settings, state, hooks } = run;
    state.signal.throwIfAborted();
    const input = isPlanInput(run.input) ? run.input : hooks.request(run.input);
    const { commandOptions, overrideOptions, naming } = settings;
    const { provider, options, random } = this.#parts;
    const onStage = (stage: Stage): void => this.#tell(run, { type: 'stage', stage, state: state.view() });
    const begun = { input, overrideOptions, commandOptions, state, naming, onStage };
    const tokenizer = this.#parts.tokenizer ?? ((model: OpenModel) => this.#tokenizers.of(model));
    const parts = { provider, options, random, tokenizer };
    const made = await (isPlanInput(input) ? preparePlan(begun, input, parts) : prepareRun(begun, parts));
    const prepared = { ...made, extensions: hooks.names };
    this.#tell(run, { type: 'prepared', prepared, state: state.view() });
    return prepared;
  }

  /** Refuses what cannot be kept or cannot fit, before anything is allocated. */
  async #admit(prepared: PreparedRun, settings: RunSettings): Promise<void> {
    const { plan, output } = prepared;
    const seeds = plan.batches.flat();
    if (settings.sink !== undefined) requireFiles(prepared);
    await settings.sink?.check({ seeds, grid: output.grid, format: output.format });
    if (this.#parts.remote !== undefined) return; // whoever computes it looks to its own memory
    const { model } = prepared.context;
    // Another run may have loaded the model since this one was prepared.
    const memory = { ...prepared.memory, loadedBytes: model.loaded ? prepared.estimate.weightBytes : 0 };
    await this.#parts.provider.makeRoom?.(async () => hasRoom(memory, await this.room(prepared)));
    requireMemory(memory, await this.room(prepared), (there) =>
      whatFits(plan, prepared.context, prepared.sheet, there),
    );
  }

  async #execute(run: Run, prepared: PreparedRun): Promise<GeneratedImage[]> {
    const { state, metrics, profile, settings, hooks } = run;
    state.enter('execute');
    const images: GeneratedImage[] = [];
    const onStarted = (): void => this.#tell(run, { type: 'stage', stage: 'execute', state: state.view() });
    const step = (previews: readonly DecodedImage[] | undefined): void =>
      this.#tell(run, { type: 'step', previews, state: state.view() });
    const shared: ExecuteHooks = {
      time: metrics.time,
      onProgress: (type, share = 1) =>
        this.#tell(run, type === 'load' ? { type, share, state: state.view() } : { type, state: state.view() }),
      onStep: (latent) => step(latent === undefined ? undefined : previewLatent(latent)),
      previewEvery: settings.previewEvery ?? 0,
      trail: prepared.output.trail,
      latents: (batch, steps) => hooks.latents(batch, steps),
      onLoaded: () => hooks.modelLoaded(prepared.context.model),
      onProfile: profile === undefined ? undefined : (rows: readonly OpProfile[]) => profile.add(rows),
    };
    const { plan, planSha256, context, pictures, inputs } = prepared;
    const { remote } = this.#parts;
    const start = pictures === undefined || inputs === undefined ? undefined : { inputs, pictures };
    if (remote === undefined) onStarted();
    const batches =
      remote === undefined
        ? executePlan(plan, context, shared, pictures)
        : remote.execute(plan, context, {
            ...{ ...shared, planSha256, start, onStarted, onPreviews: step },
            addTime: metrics.add,
          });
    for await (const batch of batches) {
      images.push(...batch);
      for (const image of batch) {
        const picture = describeImage(prepared, image);
        this.#tell(run, { type: 'picture', picture, state: state.view() });
      }
    }
    hooks.processed(images);
    return images;
  }

  async #finalize(run: Run, prepared: PreparedRun | undefined, images: readonly GeneratedImage[] | undefined) {
    const { state, metrics, profile, settings, hooks } = run;
    state.enter('finalize');
    this.#tell(run, { type: 'stage', stage: 'finalize', state: state.view() });
    if (prepared === undefined || images === undefined) return undefined;
    state.signal.throwIfAborted();
    return finalizeRun({
      id: state.id,
      prepared,
      images,
      sink: settings.sink,
      metrics,
      hooks,
      profile: profile?.rows(),
    });
  }

  #tell(run: Run, event: RunEvent): void {
    run.settings.onEvent?.(event);
  }
}
