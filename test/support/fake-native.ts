import { readFile } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { BenchOptions } from '../../src/native/bench-types.js';
import { NativeError } from '../../src/native/errors.js';
import type {
  Capabilities,
  Conditioning,
  DeviceMemory,
  EncodeRequest,
  EncodeTextRequest,
  Estimate,
  EstimateRequest,
  Latent,
  ModelDescription,
  NativeAddon,
  NativeErrorCode,
  NativeJob,
  NativeModel,
  OpenOptions,
  OpProfile,
  ResizeLatentRequest,
  SampleRequest,
  StageInput,
  TextInput,
  TrailPoint,
} from '../../src/native/types.js';
import { SAMPLERS } from '../../src/sampling/samplers.js';

/** What a fake engine shall do, and what was done to it. */
export interface FakeEngine {
  readonly addon: NativeAddon;
  readonly opened: OpenOptions[];
  readonly samples: SampleRequest[];
  readonly encodes: EncodeTextRequest[];
  readonly benches: BenchOptions[];
  loads: number;
  closes: number;
}

export interface FakeBehaviour {
  readonly capabilities?: Partial<Capabilities>;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly description?: Partial<ModelDescription>;
  readonly peakBytes?: number;
  readonly deviceMemory?: DeviceMemory[];
  /** The call that fails, and how. */
  readonly fail?: { readonly at: 'open' | 'load' | 'encode' | 'sample' | 'decode'; readonly code: NativeErrorCode };
  /** The VAE fails in its own precision. */
  readonly retries?: boolean;
  /** Encoded pictures come as made again in fp32. */
  readonly encodingRetries?: boolean;
  /** Called after every step, before the next. */
  readonly onStep?: (step: number) => void;
  /** Called with what a run came to: may wait, throw, or change it. */
  readonly onSampled?: (request: SampleRequest, latent: Latent) => Promise<void> | void;
}

const WEIGHTS = 1000;

/** A small fixed mixing of 32-bit words: equal inputs give equal outputs, different ones most likely not. */
function mix(words: Iterable<number>): number {
  let hash = 0x811c9dc5;
  for (const word of words) hash = Math.imul(hash ^ (word | 0), 0x01000193) >>> 0;
  return hash;
}

const words = ({ until, conditioning }: StageInput): number[] => [until, conditioning];
const bits = (values: Float32Array): Int32Array => new Int32Array(values.buffer, values.byteOffset, values.length);

/** All that a given start holds. */
function startWords({ start, noiseInterval }: SampleRequest): number[] {
  if (start === undefined) return [];
  const { latent, mask = new Float32Array(0), ...rest } = start;
  return [...bits(latent.data), ...bits(mask), ...Buffer.from(JSON.stringify([rest, noiseInterval]))];
}

/** A cell has the mean of its 8×8 pixels' channel. */
function encodePicture(image: EncodeRequest['images'][number]): Float32Array {
  const [w, h] = [image.width / 8, image.height / 8];
  return Float32Array.from({ length: 4 * w * h }, (_, i) => {
    const [c, y, x] = [Math.floor(i / (w * h)) % 3, Math.floor(i / w) % h, i % w];
    let sum = 0;
    for (let p = 0; p < 64; p += 1)
      sum += image.data[((y * 8 + (p >> 3)) * image.width + x * 8 + (p & 7)) * 3 + c] ?? 0;
    return sum / 64 / 255;
  });
}

function profileRow(part: OpProfile['part'], wanted: boolean | undefined): OpProfile[] {
  return wanted ? [{ part, op: 'linear', calls: 2, seconds: 0.5, flops: 1e9, bytes: 100 }] : [];
}

/** Latents that are all the step's number. */
function fakePreview({ seeds, latentWidth: width, latentHeight: height }: SampleRequest, step: number) {
  const data = new Float32Array(seeds.length * 4 * width * height).fill(step);
  return { preview: { data, batch: seeds.length, channels: 4, width, height } };
}

/** As many points as a run has, each of what the end will be. */
function fakeTrail({ data, batch }: Latent, steps: number): TrailPoint[] {
  const size = data.length / batch;
  const hash = (step: number, i: number): string =>
    mix([step, ...bits(data.slice(i * size, (i + 1) * size))])
      .toString(16)
      .padStart(16, '0');
  return Array.from({ length: steps + 1 }, (_, step) => ({
    step,
    hashes: Array.from({ length: batch }, (_image, i) => hash(step, i)),
  }));
}

/** One job at a time, as the worker thread of a model has it. */
class Queue {
  #last: Promise<unknown> = Promise.resolve();

  add<T>(work: (isCancelled: () => boolean) => Promise<T>): NativeJob<T> {
    let cancelled = false;
    const promise = this.#last.then(() => {
      if (cancelled) throw new NativeError('E_CANCELLED', 'the call was cancelled');
      return work(() => cancelled);
    });
    this.#last = promise.catch(() => undefined);
    return {
      promise,
      cancel: () => {
        cancelled = true;
      },
    };
  }
}

class FakeModel implements NativeModel {
  readonly #queue = new Queue();

  constructor(
    readonly engine: FakeEngine,
    readonly behaviour: FakeBehaviour,
    readonly options: OpenOptions,
    readonly fileBytes: number,
  ) {}

  describe(): ModelDescription {
    const { overrides } = this.options;
    return {
      path: this.options.path,
      family: 'sd1',
      fileBytes: this.fileBytes,
      tensorCount: 3,
      dtypes: { F16: 3 },
      parameters: { text: 1e6, unet: 2e6, vae: 3e6 },
      metadata: this.behaviour.metadata ?? {},
      predictionType: overrides?.predictionType
        ? { value: overrides.predictionType, origin: 'flag' }
        : { value: 'epsilon', origin: 'default' },
      scaleFactor: { value: 0.18215, origin: 'default' },
      latentChannels: 4,
      latentScale: 8,
      text: {
        width: 2,
        layers: 12,
        heads: { value: 4, origin: 'metadata' },
        vocabulary: 49408,
        positions: 77,
        hasClipSkip: true,
        tokenizer: 'clip',
      },
      noise: {
        alphasCumprod: Float64Array.of(0.999, 0.5),
        origin: 'default',
        zeroTerminalSnr: { value: false, origin: 'default' },
        trailingTimesteps: false,
      },
      files: [this.options.path],
      vaeFiles: [],
      unet: {
        inChannels: 4,
        modelChannels: 32,
        channelMultipliers: [1, 2],
        contextWidth: 2,
        pooledWidth: 0,
        heads: { value: [8, 8], origin: 'default' },
      },
      vae: { channels: 32, channelMultipliers: [1, 2], hasEncoder: false },
      unusedTensors: ['model_ema.decay'],
      renamed: { 'old.name': 'new.name' },
      ...this.behaviour.description,
    };
  }

  estimate(_: EstimateRequest): Estimate {
    const part = { weightBytes: WEIGHTS, arenaBytes: 10, liveBytes: 10, flops: 1e6 };
    const peakBytes = this.behaviour.peakBytes ?? 3 * WEIGHTS + 10;
    return {
      weightBytes: 3 * WEIGHTS,
      arenaBytes: 10,
      peakBytes,
      parts: { text: part, unet: part, vae: part, encoder: part },
    };
  }

  load(onProgress?: (event: { loadedBytes: number; totalBytes: number }) => void): NativeJob<void> {
    return this.#queue.add(async (isCancelled) => {
      this.engine.loads += 1;
      for (const loadedBytes of [0, 50, 100]) {
        await this.#pause(isCancelled);
        onProgress?.({ loadedBytes, totalBytes: 100 });
      }
      this.#failAt('load');
    });
  }

  encodeText(request: EncodeTextRequest): NativeJob<{ conditionings: Conditioning[][]; profile: OpProfile[] }> {
    return this.#queue.add(async (isCancelled) => {
      this.engine.encodes.push(request);
      await this.#pause(isCancelled);
      this.#failAt('encode');
      const encode = ({ chunks, count }: TextInput): Conditioning => {
        const words = chunks.flatMap(({ tokens, weights }) => [...tokens, ...bits(weights)]);
        const hash = mix([request.clipSkip, request.restoreMean ? count : 0, ...words]);
        const tokens = 77 * chunks.length;
        return {
          data: Float32Array.from({ length: tokens * 2 }, (_, i) => ((hash + i) % 1009) / 1009),
          tokens,
          width: 2,
        };
      };
      const conditionings = request.groups.map((texts) => texts.map(encode));
      return { conditionings, profile: profileRow('text', request.profile) };
    });
  }

  sample(request: SampleRequest, onStep?: (event: never) => void): ReturnType<NativeModel['sample']> {
    return this.#queue.add(async (isCancelled) => {
      this.engine.samples.push(request);
      const steps = request.sigmas.length - 1;
      const emit = onStep as ((event: object) => void) | undefined;
      for (let step = 1; step <= steps; step += 1) {
        await this.#pause(isCancelled);
        const preview =
          step % (request.previewEvery || Number.POSITIVE_INFINITY) === 0 ? fakePreview(request, step) : {};
        emit?.({ step, steps, evaluations: step, sigma: request.sigmas[step - 1] ?? 0, ...preview });
        this.behaviour.onStep?.(step);
      }
      await this.#pause(isCancelled);
      this.#failAt('sample');
      const { latentWidth: width, latentHeight: height, sigmas, cfgScale, samplerOptions } = request;
      const size = 4 * width * height;
      const common = mix([
        ...request.conditionings.flatMap(({ data }) => [...bits(data)]),
        ...request.parts.flatMap(({ weight, stages }) => [weight * 1000, ...stages.flatMap(words)]),
        ...(request.uncond ?? []).flatMap(words),
        ...bits(sigmas),
        ...Object.values(samplerOptions).map((value) => Math.fround(Number(value)) * 1000),
        cfgScale * 1000,
        ...bits(request.timesteps ?? new Float32Array(0)),
        ...Buffer.from(request.sampler + request.noiseSource + samplerOptions.unipcVariant),
        ...startWords(request),
        ...Buffer.from(JSON.stringify([request.resizeFrom, request.startWithSignal, request.wholeTimesteps])),
      ]);
      const data = new Float32Array(size * request.seeds.length);
      const { variation, laterSeeds } = request;
      for (const [i, seed] of request.seeds.entries()) {
        const seeds = [seed, variation?.seeds[i] ?? 0, (variation?.strength ?? 0) * 1000, laterSeeds?.[i] ?? 0];
        for (let k = 0; k < size; k += 1) data[i * size + k] = (mix([common, ...seeds, k]) % 2048) / 1024 - 1;
      }
      const latent = { data, batch: request.seeds.length, channels: 4, height, width };
      await this.behaviour.onSampled?.(request, latent);
      const trail = request.trail === true ? { trail: fakeTrail(latent, steps) } : {};
      return { latent, profile: profileRow('unet', request.profile), ...trail };
    });
  }

  decode(request: Parameters<NativeModel['decode']>[0], onImage?: (done: number) => void) {
    return this.#queue.add(async (isCancelled) => {
      const { data, batch, channels, height, width } = request.latent;
      this.#failAt('decode');
      const images = [];
      for (let i = 0; i < batch; i += 1) {
        await this.#pause(isCancelled);
        const [w, h] = [width * 8, height * 8];
        const start = i * channels * height * width;
        const at = (y: number, x: number, c: number): number =>
          data[start + (c * height + (y >> 3)) * width + (x >> 3)] ?? 0;
        const pixels = new Uint8Array(w * h * 3);
        for (let y = 0; y < h; y += 1) {
          for (let x = 0; x < w; x += 1) {
            for (let c = 0; c < 3; c += 1) pixels[(y * w + x) * 3 + c] = ((at(y, x, c) + 1) / 2) * 255;
          }
        }
        images.push({ data: pixels, width: w, height: h, retriedInFp32: this.behaviour.retries === true });
        onImage?.(i + 1);
      }
      return { images, profile: profileRow('vae', request.profile) };
    });
  }

  encode({ images }: EncodeRequest): ReturnType<NativeModel['encode']> {
    return this.#queue.add(async () => {
      const [{ width, height } = { width: 8, height: 8 }] = images;
      const data = Float32Array.from(images.flatMap((image) => [...encodePicture(image)]));
      const mean = { data, batch: images.length, channels: 4, width: width / 8, height: height / 8 };
      return { moments: { mean, logvar: mean, retriedInFp32: this.behaviour.encodingRetries === true }, profile: [] };
    });
  }

  /** Cells of the same places; enough for tests of what stands above. */
  resizeLatent({ latent, width, height }: ResizeLatentRequest): ReturnType<NativeModel['resizeLatent']> {
    return this.#queue.add(async () => {
      const planes = latent.batch * latent.channels;
      const data = Float32Array.from({ length: planes * width * height }, (_, i) => {
        const x = Math.floor(((i % width) * latent.width) / width);
        const y = Math.floor(((Math.floor(i / width) % height) * latent.height) / height);
        const plane = Math.floor(i / (width * height));
        return latent.data[(plane * latent.height + y) * latent.width + x] ?? 0;
      });
      return { latent: { ...latent, data, width, height }, profile: [] };
    });
  }

  async close(): Promise<void> {
    this.engine.closes += 1;
  }

  async #pause(isCancelled: () => boolean): Promise<void> {
    await nextTurn();
    if (isCancelled()) throw new NativeError('E_CANCELLED', 'the call was cancelled');
  }

  #failAt(call: string): void {
    const { fail } = this.behaviour;
    if (fail?.at === call) throw new NativeError(fail.code, `${call} failed on purpose`);
  }
}

/** An engine without weights, for tests of what stands above it: pictures depend on all that a request holds. */
export function createFakeEngine(behaviour: FakeBehaviour = {}): FakeEngine {
  const capabilities: Capabilities = {
    version: '0.0.0-fake',
    samplers: SAMPLERS.map((sampler) => sampler.id),
    noiseSources: ['philox', 'torch-cpu'],
    devices: [{ name: 'reference', description: 'fake', precisions: ['fp32'], isa: 'portable', missing: '' }],
    families: ['sd1'],
    ...behaviour.capabilities,
  };
  const engine: FakeEngine = {
    opened: [],
    samples: [],
    encodes: [],
    benches: [],
    loads: 0,
    closes: 0,
    addon: {
      version: () => capabilities.version,
      capabilities: () => capabilities,
      deviceMemory: () => ({ promise: Promise.resolve(behaviour.deviceMemory ?? []), cancel: () => undefined }),
      probePeak: () => ({ promise: Promise.resolve(100), cancel: () => undefined }),
      bench: (options) => {
        engine.benches.push(options);
        return { promise: Promise.resolve({ text: 'unet 1 s\n', json: '{"parts": []}\n' }), cancel: () => undefined };
      },
      debugEval: () => ({ promise: Promise.resolve(), cancel: () => undefined }),
      debugCompare: () => ({
        promise: Promise.resolve({ tolerance: 0, notCompared: 0, ops: [], text: 'no op\n' }),
        cancel: () => undefined,
      }),
      openModel: async (options) => {
        engine.opened.push(options);
        const file = await readFile(options.path);
        const { fail } = behaviour;
        if (fail?.at === 'open') throw new NativeError(fail.code, 'open failed on purpose');
        return new FakeModel(engine, behaviour, options, file.length);
      },
    },
  };
  return engine;
}
