import { NativeError, toNativeError } from './errors.js';
import type { HookCall, HookReply } from './hook-types.js';
import type {
  Conditioning,
  DecodeRequest,
  EncodeRequest,
  EncodeTextRequest,
  Estimate,
  EstimateRequest,
  Latent,
  LoadEvent,
  ModelDescription,
  Moments,
  NativeAddon,
  NativeJob,
  NativeModel,
  OpenOptions,
  OpProfile,
  ResizeLatentRequest,
  Sampled,
  SampleRequest,
  StepEvent,
  VaeImage,
} from './types.js';

export interface CallOptions {
  /** Aborting it rejects the call with E_CANCELLED within one model evaluation; the signal's reason is the cause. */
  readonly signal?: AbortSignal | undefined;
}
export interface LoadOptions extends CallOptions {
  readonly onProgress?: ((event: LoadEvent) => void) | undefined;
}
export interface SampleOptions extends CallOptions {
  readonly onStep?: ((event: StepEvent) => void) | undefined;
  /** Answers the hooks that the request names; the sampler waits for it. */
  readonly onHook?: ((call: HookCall) => HookReply) | undefined;
}
export interface DecodeOptions extends CallOptions {
  /** Gets the number of images done. */
  readonly onImage?: ((done: number) => void) | undefined;
}

/** A call under way: what its listener threw, not a native error, is how it then ends. */
class Call<Event> {
  readonly #listener: ((event: Event) => void) | undefined;
  readonly #signal: AbortSignal | undefined;
  /** Made where the call began, for its stack. */
  readonly #caller = new Error();
  #thrown: { readonly error: unknown } | undefined;

  constructor(signal: AbortSignal | undefined, listener?: (event: Event) => void) {
    this.#signal = signal;
    this.#listener = listener;
  }

  async run<T>(start: (onEvent: ((event: Event) => void) | undefined) => NativeJob<T>): Promise<T> {
    if (this.#signal?.aborted) throw this.#cancelled();
    const job = start(this.#listener && ((event) => this.#tell(event)));
    const abort = () => job.cancel();
    this.#signal?.addEventListener('abort', abort, { once: true });
    try {
      return await job.promise;
    } catch (error) {
      if (this.#thrown !== undefined) throw this.#thrown.error;
      const native = toNativeError(error, this.#caller);
      throw native.code === 'E_CANCELLED' && this.#signal?.aborted ? this.#cancelled() : native;
    } finally {
      this.#signal?.removeEventListener('abort', abort);
    }
  }

  #tell(event: Event): void {
    try {
      this.#listener?.(event);
    } catch (error) {
      this.#thrown = { error };
      throw error; // the addon cancels the call
    }
  }

  #cancelled(): NativeError {
    return new NativeError('E_CANCELLED', 'the call was cancelled', { cause: this.#signal?.reason });
  }
}

function attempt<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw toNativeError(error, new Error());
  }
}

/**
 * One open model: promises and signals over the addon's jobs. Calls run one after the other in the order they were
 * made. Every method fails with a NativeError; E_CLOSED once the model is closed.
 */
export class Model {
  readonly #native: NativeModel;

  private constructor(native: NativeModel) {
    this.#native = native;
  }

  /**
   * Opens a checkpoint's header and checks every tensor that is needed; reads no weight.
   * @throws NativeError E_IO, E_MODEL_FORMAT, E_MODEL_UNSUPPORTED, E_DEVICE, E_INVALID_ARGUMENT
   */
  static async open(addon: NativeAddon, options: OpenOptions): Promise<Model> {
    const caller = new Error();
    try {
      return new Model(await addon.openModel(options));
    } catch (error) {
      throw toNativeError(error, caller);
    }
  }

  describe(): ModelDescription {
    return attempt(() => this.#native.describe());
  }

  /** Memory and work of a run, from the header alone. */
  estimate(request: EstimateRequest): Estimate {
    return attempt(() => this.#native.estimate(request));
  }

  /** Reads and packs all weights; without it the first use of a part does. */
  async load({ signal, onProgress }: LoadOptions = {}): Promise<void> {
    await new Call(signal, onProgress).run((onEvent) => this.#native.load(onEvent));
  }

  /** One conditioning for each text of each group. */
  encodeText(
    request: EncodeTextRequest,
    { signal }: CallOptions = {},
  ): Promise<{ conditionings: Conditioning[][]; profile: OpProfile[] }> {
    return new Call<never>(signal).run(() => this.#native.encodeText(request));
  }

  /** Noise to final latents, one image a seed. */
  sample(request: SampleRequest, { signal, onStep, onHook }: SampleOptions = {}): Promise<Sampled> {
    return new Call(signal, onStep).run((onEvent) => this.#native.sample(request, onEvent, onHook));
  }

  /** Latents to pictures, one by one. */
  decode(
    request: DecodeRequest,
    { signal, onImage }: DecodeOptions = {},
  ): Promise<{ images: VaeImage[]; profile: OpProfile[] }> {
    return new Call(signal, onImage).run((onEvent) => this.#native.decode(request, onEvent));
  }

  /** Pictures to the moments of their latents. */
  encode(request: EncodeRequest, { signal }: CallOptions = {}): Promise<{ moments: Moments; profile: OpProfile[] }> {
    return new Call<never>(signal).run(() => this.#native.encode(request));
  }

  /** Latents at another size, for a second pass. */
  async resizeLatent(request: ResizeLatentRequest, { signal }: CallOptions = {}): Promise<Latent> {
    const { latent } = await new Call<never>(signal).run(() => this.#native.resizeLatent(request));
    return latent;
  }

  /** Cancels what runs, refuses what waits, frees the weights. Idempotent. */
  close(): Promise<void> {
    return this.#native.close();
  }
}
