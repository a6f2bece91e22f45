/**
 * The whole binding, typed once. Everything that crosses is plain data; calls are asynchronous, one worker
 * thread and one queue per model. Latents cross as NCHW float32, pictures as interleaved RGB8.
 */

import type { BenchOptions, BenchReport, ProbeOptions } from './bench-types.js';
import type { CompareOptions, Comparison, EvalOptions } from './debug-types.js';
import type { Estimate, EstimateRequest, Tiling } from './estimate-types.js';
import type { HookCall, HookKind, HookReply } from './hook-types.js';
import type { Latent } from './latent.js';
import type { DeviceName, OpenOptions, Precision, PredictionType, SamplerOptions } from './open-types.js';
import type { ResizeLatentRequest } from './resize-types.js';
import type { StartInput } from './start-types.js';

export type { Estimate, EstimateRequest, PartEstimate, Tiling } from './estimate-types.js';
export type { Latent } from './latent.js';
export type {
  DeviceName,
  ModelOverrides,
  OpenOptions,
  Precision,
  PredictionType,
  SamplerOptions,
} from './open-types.js';
export type { LatentResize, ResizeLatentRequest } from './resize-types.js';
export { LATENT_RESIZES } from './resize-types.js';
export type { StartInput } from './start-types.js';

/** `philox` is the webui's GPU/NV stream, `torch-cpu` is torch's CPU generator. */
export type NoiseSource = 'philox' | 'torch-cpu';

export interface DeviceInfo {
  readonly name: DeviceName;
  /** For people, e.g. "plain loops of the numerics contract". */
  readonly description: string;
  /** Those it multiplies in hardware, the fastest last; empty where the device cannot be used here. */
  readonly precisions: readonly Precision[];
  /** The instruction set that runs, e.g. "avx512bf16" or "portable". */
  readonly isa: string;
  /** Why a known precision, or without precisions the device, is not to be had here; empty where it is not built. */
  readonly missing: string;
}

/** Of a device that has memory of its own. */
export interface DeviceMemory {
  readonly name: DeviceName;
  /** What can still be had, by anybody. */
  readonly freeBytes: number;
  readonly totalBytes: number;
}

export interface Capabilities {
  readonly version: string;
  /** Native sampler ids, e.g. "euler", "dpmpp_2m". */
  readonly samplers: readonly string[];
  readonly noiseSources: readonly NoiseSource[];
  readonly devices: readonly DeviceInfo[];
  /** Model families, e.g. "sd1". */
  readonly families: readonly string[];
}

/** A value the tensors' shapes cannot tell, and where it came from. */
export interface Resolved<T> {
  readonly value: T;
  /**
   * flag > the file's metadata > config files of its folder or beside it > marker tensors > a probe of the network > the
   * family's default.
   */
  readonly origin: 'flag' | 'metadata' | 'config' | 'weights' | 'probe' | 'default';
}

export interface ModelDescription {
  readonly path: string;
  readonly family: string;
  readonly fileBytes: number;
  readonly tensorCount: number;
  /** Needed tensors by dtype name, e.g. {"F16": 1130}. */
  readonly dtypes: Readonly<Record<string, number>>;
  readonly parameters: Readonly<Record<'text' | 'unet' | 'vae', number>>;
  /** `__metadata__` of the file, as it stands there. */
  readonly metadata: Readonly<Record<string, string>>;
  /** "probe": nothing says it, and the network is asked when its weights are loaded. */
  readonly predictionType: Resolved<PredictionType | 'probe'>;
  readonly scaleFactor: Resolved<number>;
  readonly latentChannels: number;
  /** Pixels per latent cell along a side (8). */
  readonly latentScale: number;
  readonly text: {
    readonly width: number;
    readonly layers: number;
    readonly heads: Resolved<number>;
    readonly vocabulary: number;
    readonly positions: number;
    /** False where the family always takes the same layer: clipSkip is then 1. */
    readonly hasClipSkip: boolean;
    /** What it was trained with: CLIP's, OpenCLIP's, or the files in the model's folder. */
    readonly tokenizer: 'clip' | 'open_clip' | 'folder';
  };
  readonly unet: {
    readonly inChannels: number;
    readonly modelChannels: number;
    readonly channelMultipliers: readonly number[];
    readonly contextWidth: number;
    /** Width of the pooled text that joins the timestep's embedding; 0 where the network takes none. */
    readonly pooledWidth: number;
    /** By level. */
    readonly heads: Resolved<readonly number[]>;
  };
  readonly vae: {
    readonly channels: number;
    readonly channelMultipliers: readonly number[];
    /** Whether the file has all of the encoder, which pictures from text do without. */
    readonly hasEncoder: boolean;
  };
  readonly noise: {
    /** Products of 1 - beta, one for each trained timestep; zero terminal SNR is in them. */
    readonly alphasCumprod: Float64Array;
    /** `weights`: the file's own table; `config`: a scheduler's. */
    readonly origin: Resolved<never>['origin'];
    readonly zeroTerminalSnr: Resolved<boolean>;
    /** The scheduler's config counts timesteps from the last trained one downwards. */
    readonly trailingTimesteps: boolean;
  };
  /** Paths of all files that decide the pictures, and of those of another VAE. */
  readonly files: readonly string[];
  readonly vaeFiles: readonly string[];
  /** Tensors of the file that nothing needs (EMA copies, position ids, encoder …). */
  readonly unusedTensors: readonly string[];
  /** Names that stood in a known variant: file's name → canonical name. */
  readonly renamed: Readonly<Record<string, string>>;
}

export interface Chunk {
  /** Token ids with BOS, EOS and fill: one full window of the text tower (77). */
  readonly tokens: Int32Array;
  /** The weight of each token (1 for BOS, EOS, fill). */
  readonly weights: Float32Array;
}

/** One text of a group; it counts `count` times for the group's means. */
export interface TextInput {
  readonly chunks: readonly Chunk[];
  readonly count: number;
}

export interface EncodeTextRequest {
  /** The texts of a group have as many chunks each and share the means that emphasis restores. */
  readonly groups: readonly (readonly TextInput[])[];
  /** 1 = last layer. The final layer norm applies in every case. */
  readonly clipSkip: number;
  /** False: weights only multiply. */
  readonly restoreMean: boolean;
  readonly profile?: boolean;
}

/** Text features, row-major [tokens, width]. */
export interface Conditioning {
  readonly data: Float32Array;
  readonly tokens: number;
  readonly width: number;
  /** Where the UNet takes it, and needed there: the first window's features at its end token. */
  readonly pooled?: Float32Array;
}

/** Holds from the model call after the stage before it up to and with call `until`, counted from 0. */
export interface StageInput {
  readonly until: number;
  /** Place in `SampleRequest.conditionings`. */
  readonly conditioning: number;
}

/** D = Du + Σ weight·cfgScale·(Dc − Du) over the parts. */
export interface PartInput {
  readonly weight: number;
  readonly stages: readonly StageInput[];
}

export interface SampleRequest {
  /** Latent size: picture size / latentScale. */
  readonly latentWidth: number;
  readonly latentHeight: number;
  /** One per image; 0 … 2^53 - 1. */
  readonly seeds: readonly number[];
  readonly noiseSource: NoiseSource;
  readonly sampler: string;
  readonly samplerOptions: SamplerOptions;
  /** Turns the start's noise towards that of other seeds, one per image; strength 0 … 1. */
  readonly variation?: { readonly seeds: readonly number[]; readonly strength: number };
  /** Latent size whose noise the start has in its middle. */
  readonly resizeFrom?: { readonly width: number; readonly height: number };
  /** Of the draws after the start, one per image; without them the image's own stream goes on. */
  readonly laterSeeds?: readonly number[];
  /** Descending float32 sigmas as the sampler receives them, usually ending in 0; for `restart` they may rise. */
  readonly sigmas: Float32Array;
  /** For samplers that walk timesteps: as many as sigmas, descending, 0 … 999; the last may be -1, the clean end. */
  readonly timesteps?: Float32Array;
  /** Without it the run begins with noise alone. */
  readonly start?: StartInput;
  /** Of the Brownian tree where `sigmas` are the end of a longer schedule: its smallest above 0 and largest. */
  readonly noiseInterval?: { readonly low: number; readonly high: number };
  /** x starts at sqrt(1 + sigma²) times the noise instead of sigma times. */
  readonly startWithSignal?: boolean;
  /** The network sees the trained timestep nearest to sigma, not one between two. */
  readonly wholeTimesteps?: boolean;
  readonly cfgScale: number;
  /** What the UNet's channels after the latent's hold, and needed where it has such; for all images, or one each. */
  readonly further?: Latent;
  /** Of models that edit a picture: how strictly they follow it; 1 is the ordinary guidance. */
  readonly imageCfgScale?: number;
  readonly conditionings: readonly Conditioning[];
  readonly parts: readonly PartInput[];
  /** Needed unless there is one part and its weight times cfgScale is 1; `ddim_cfgpp` always needs it. */
  readonly uncond?: readonly StageInput[] | undefined;
  /** Every n-th step's event carries a preview; 0 or absent: none does. */
  readonly previewEvery?: number;
  readonly profile?: boolean;
  /** Whether the result has a trail. */
  readonly trail?: boolean;
  /** Places where the loop waits for `onHook`. */
  readonly hooks?: readonly HookKind[];
}

/** Where a batch's latents stand; never of fewer steps because a listener is slow. */
export interface TrailPoint {
  /** Steps completed; 0 is the start. */
  readonly step: number;
  /** Of each image's latent [channels, height, width] the XXH64 of its float32 bytes: 16 hexadecimal digits. */
  readonly hashes: readonly string[];
}

export interface Sampled {
  readonly latent: Latent;
  /** The start and every step that is reported; only where it was asked for. */
  readonly trail?: readonly TrailPoint[];
  readonly profile: OpProfile[];
}

export interface StepEvent {
  /** Steps completed, 1 … steps. */
  readonly step: number;
  readonly steps: number;
  /** Model evaluations so far. */
  readonly evaluations: number;
  readonly sigma: number;
  /**
   * The denoiser's estimate of the result, where asked for; of an earlier step when a slow listener missed that one's
   * event.
   */
  readonly preview?: Latent;
}

export interface LoadEvent {
  readonly loadedBytes: number;
  readonly totalBytes: number;
}

/** Time, work and calls of one kind of op. */
export interface OpProfile {
  readonly part: 'text' | 'unet' | 'vae';
  readonly op: string;
  readonly calls: number;
  readonly seconds: number;
  readonly flops: number;
  readonly bytes: number;
}

export interface EncodeRequest {
  /** All of one size, whose sides are multiples of latentScale; RGB8, or colours in [-1, 1]; row-major. */
  readonly images: readonly {
    readonly data: Uint8Array | Float32Array;
    readonly width: number;
    readonly height: number;
  }[];
  /** Without it in one piece. */
  readonly tiling?: Tiling;
  readonly profile?: boolean;
}

/** A latent is (mean + noise·exp(logvar/2))·scaleFactor. */
export interface Moments {
  readonly mean: Latent;
  readonly logvar: Latent;
  /** The model's own precision gave a value that is not finite, and a picture was encoded again in fp32. */
  readonly retriedInFp32: boolean;
}

export interface DecodeRequest {
  readonly latent: Latent;
  /** Without it in one piece. */
  readonly tiling?: Tiling;
  readonly profile?: boolean;
}

export interface DecodedImage {
  /** RGB8, row-major, width * height * 3. */
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}

export interface VaeImage extends DecodedImage {
  /** The model's own precision gave a value that is not finite, and the picture was decoded again in fp32. */
  readonly retriedInFp32: boolean;
}

/** A call under way. `cancel` takes effect within one model evaluation; the promise then rejects with E_CANCELLED. */
export interface NativeJob<T> {
  readonly promise: Promise<T>;
  cancel(): void;
}

export interface NativeModel {
  /** After load() its prediction type is no longer "probe". */
  describe(): ModelDescription;
  /** Memory and work from the header alone; reads no weight. Throws E_INVALID_ARGUMENT for impossible sizes. */
  estimate(request: EstimateRequest): Estimate;
  /** Reads and packs all weights; without it the first use of a part does. */
  load(onProgress?: (event: LoadEvent) => void): NativeJob<void>;
  encodeText(request: EncodeTextRequest): NativeJob<{ conditionings: Conditioning[][]; profile: OpProfile[] }>;
  sample(
    request: SampleRequest,
    onStep?: (event: StepEvent) => void,
    onHook?: (call: HookCall) => HookReply,
  ): NativeJob<Sampled>;
  /** Images are decoded one by one. */
  decode(
    request: DecodeRequest,
    onImage?: (done: number) => void,
  ): NativeJob<{ images: VaeImage[]; profile: OpProfile[] }>;
  /** Images are encoded one by one. */
  encode(request: EncodeRequest): NativeJob<{ moments: Moments; profile: OpProfile[] }>;
  /** On the host: the same bytes on every device. */
  resizeLatent(request: ResizeLatentRequest): NativeJob<{ latent: Latent; profile: OpProfile[] }>;
  /** Cancels what runs, refuses what waits, frees the weights. Idempotent; resolves when the worker is gone. */
  close(): Promise<void>;
}

export interface NativeAddon {
  version(): string;
  /** Times the parts of a model on weights made in memory, against the machine's measured peak. */
  bench(options: BenchOptions): NativeJob<BenchReport>;
  /** What the processor multiplies at most, in GFLOP/s; 0 where it does not multiply in that precision. */
  probePeak(options: ProbeOptions): NativeJob<number>;
  debugEval(options: EvalOptions): NativeJob<void>;
  /** One evaluation on two devices, op by op. */
  debugCompare(options: CompareOptions): NativeJob<Comparison>;
  capabilities(): Capabilities;
  /** Of every such device in this machine, as it is now; rejects with E_DEVICE where one does not answer. */
  deviceMemory(): NativeJob<DeviceMemory[]>;
  /** Opens a checkpoint's header, checks every needed tensor; reads no weight. */
  openModel(options: OpenOptions): Promise<NativeModel>;
}

export const NATIVE_ERROR_CODES = [
  'E_INVALID_ARGUMENT',
  'E_MODEL_FORMAT',
  'E_MODEL_UNSUPPORTED',
  'E_IO',
  'E_OUT_OF_MEMORY',
  'E_CANCELLED',
  'E_NON_FINITE',
  'E_DEVICE',
  'E_CLOSED',
  'E_INTERNAL',
  /** The addon itself is missing or cannot be loaded; never thrown by native code. */
  'E_ADDON',
] as const;
export type NativeErrorCode = (typeof NATIVE_ERROR_CODES)[number];
