import { setImmediate as nextTurn } from 'node:timers/promises';
import { NativeError } from '../native/errors.js';
import type {
  Capabilities,
  Latent,
  ModelDescription,
  NativeAddon,
  NativeJob,
  NativeModel,
  SampleRequest,
  StepEvent,
} from '../native/types.js';
import { SAMPLERS } from '../sampling/samplers.js';

/** A stand-in computes nothing: pictures are colours that follow from their seeds. */
const DESCRIPTION: ModelDescription = {
  path: '',
  family: 'fake',
  fileBytes: 0,
  tensorCount: 0,
  dtypes: {},
  parameters: { text: 0, unet: 0, vae: 0 },
  metadata: {},
  predictionType: { value: 'epsilon', origin: 'default' },
  scaleFactor: { value: 0.18215, origin: 'default' },
  latentChannels: 4,
  latentScale: 8,
  text: {
    width: 1,
    layers: 12,
    heads: { value: 1, origin: 'default' },
    vocabulary: 49408,
    positions: 77,
    hasClipSkip: true,
    tokenizer: 'clip',
  },
  unet: {
    inChannels: 4,
    modelChannels: 1,
    channelMultipliers: [1],
    contextWidth: 1,
    pooledWidth: 0,
    heads: { value: [1], origin: 'default' },
  },
  vae: { channels: 1, channelMultipliers: [1], hasEncoder: true },
  noise: {
    alphasCumprod: new Float64Array(0),
    origin: 'default',
    zeroTerminalSnr: { value: false, origin: 'default' },
    trailingTimesteps: false,
  },
  files: [],
  vaeFiles: [],
  unusedTensors: [],
  renamed: {},
};

type Work<T> = (isCancelled: () => boolean) => Promise<T>;

function job<T>(work: Work<T>): NativeJob<T> {
  let cancelled = false;
  const promise = work(() => cancelled);
  return {
    promise,
    cancel: () => {
      cancelled = true;
    },
  };
}

/** Lets others have their turn, and notices a cancellation. */
async function pause(isCancelled: () => boolean): Promise<void> {
  await nextTurn();
  if (isCancelled()) throw new NativeError('E_CANCELLED', 'the call was cancelled');
}

/** A latent that is one value a channel, from its seed. */
function colourOf({ seeds, latentWidth: width, latentHeight: height }: SampleRequest): Latent {
  const cells = width * height;
  const data = new Float32Array(seeds.length * 4 * cells);
  for (const [image, seed] of seeds.entries()) {
    for (let channel = 0; channel < 4; channel += 1) {
      const value = (((seed % 9973) * 37 + channel * 101) % 200) / 100 - 1;
      data.fill(value, (image * 4 + channel) * cells, (image * 4 + channel + 1) * cells);
    }
  }
  return { data, batch: seeds.length, channels: 4, width, height };
}

/** RGB8 of the first three channels, eight pixels a cell. */
function pixelsOf({ data, width, height }: Latent, image: number): Uint8Array {
  const cells = width * height;
  const colour = [0, 1, 2].map((channel) => Math.round(((data[(image * 4 + channel) * cells] ?? 0) + 1) * 127));
  const pixels = new Uint8Array(cells * 64 * 3);
  for (let i = 0; i < pixels.length; i += 1) pixels[i] = colour[i % 3] ?? 0;
  return pixels;
}

const sample = (request: SampleRequest, onStep?: (event: StepEvent) => void) =>
  job(async (isCancelled) => {
    const steps = request.sigmas.length - 1;
    const latent = colourOf(request);
    const every = request.previewEvery ?? 0;
    for (let step = 1; step <= steps; step += 1) {
      await pause(isCancelled);
      const isShown = every > 0 && step % every === 0;
      const event = { step, steps, evaluations: step, sigma: request.sigmas[step - 1] ?? 0 };
      onStep?.(isShown ? { ...event, preview: latent } : event);
    }
    return { latent, profile: [] };
  });

const FAKE_MODEL: NativeModel = {
  describe: () => DESCRIPTION,
  estimate: () => {
    const part = { weightBytes: 0, arenaBytes: 0, liveBytes: 0, flops: 0 };
    return { weightBytes: 0, arenaBytes: 0, peakBytes: 0, parts: { text: part, unet: part, vae: part, encoder: part } };
  },
  load: () => job(pause),
  encodeText: ({ groups }) =>
    job(async (isCancelled) => {
      await pause(isCancelled);
      const encode = (chunks: number) => ({ data: new Float32Array(77 * chunks), tokens: 77 * chunks, width: 1 });
      return { conditionings: groups.map((texts) => texts.map(({ chunks }) => encode(chunks.length))), profile: [] };
    }),
  sample,
  decode: ({ latent }, onImage) =>
    job(async (isCancelled) => {
      const size = { width: latent.width * 8, height: latent.height * 8, retriedInFp32: false };
      const images = [];
      for (let image = 0; image < latent.batch; image += 1) {
        await pause(isCancelled);
        images.push({ data: pixelsOf(latent, image), ...size });
        onImage?.(image + 1);
      }
      return { images, profile: [] };
    }),
  encode: ({ images }) =>
    job(async (isCancelled) => {
      await pause(isCancelled);
      const { width = 8, height = 8 } = images[0] ?? {};
      const size = { batch: images.length, channels: 4, width: width / 8, height: height / 8 };
      const zeros = () => ({ data: new Float32Array(images.length * 4 * size.width * size.height), ...size });
      return { moments: { mean: zeros(), logvar: zeros(), retriedInFp32: false }, profile: [] };
    }),
  resizeLatent: ({ latent, width, height }) =>
    job(async (isCancelled) => {
      await pause(isCancelled);
      const { batch, channels } = latent;
      const cells = latent.width * latent.height;
      const data = new Float32Array(batch * channels * width * height);
      // One value a channel, whatever the size.
      for (let plane = 0; plane < batch * channels; plane += 1) {
        data.fill(latent.data[plane * cells] ?? 0, plane * width * height, (plane + 1) * width * height);
      }
      return { latent: { data, batch, channels, width, height }, profile: [] };
    }),
  close: async () => undefined,
};

const CAPABILITIES: Capabilities = {
  version: 'fake',
  samplers: SAMPLERS.map(({ id }) => id),
  noiseSources: ['philox', 'torch-cpu'],
  devices: [{ name: 'reference', description: 'a stand-in', precisions: ['fp32'], isa: 'none', missing: '' }],
  families: ['fake'],
};

/** An engine that makes plain colours at once: for tests of programs that talk to a server. */
export const FAKE_ADDON: NativeAddon = {
  version: () => 'fake',
  bench: () => job(async () => ({ text: '', json: '{}' })),
  deviceMemory: () => job(async () => []),
  probePeak: () => job(async () => 0),
  debugEval: () => job(() => Promise.reject(new Error('the stand-in evaluates nothing'))),
  debugCompare: () => job(() => Promise.reject(new Error('the stand-in compares nothing'))),
  capabilities: () => CAPABILITIES,
  openModel: async () => FAKE_MODEL,
};
