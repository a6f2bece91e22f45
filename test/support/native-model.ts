import { resolve } from 'node:path';
import { loadAddon } from '../../src/native/load.js';
import type {
  EncodeTextRequest,
  ModelDescription,
  NativeModel,
  OpenOptions,
  SampleRequest,
} from '../../src/native/types.js';
import { ROOT } from './project.js';
import { tinyModelPath } from './tiny-model.js';

/** The addon under test, for child processes. */
export const ADDON_PATH = resolve(process.env.SDGEN_ADDON || resolve(ROOT, 'build/Release/sdgen.node'));

/** How the tests open micro1. */
export async function openOptions(): Promise<OpenOptions> {
  return { path: await tinyModelPath(), device: 'reference', precision: 'fp32', threads: 1 };
}

export async function openTinyModel(): Promise<NativeModel> {
  return (await loadAddon()).openModel(await openOptions());
}

/** One chunk: BOS, two words, EOS and fill. */
export function encodeRequest({ text }: ModelDescription): EncodeTextRequest {
  const end = text.vocabulary - 1;
  const tokens = new Int32Array(text.positions).fill(end);
  tokens.set([end - 1, 320, 2368]);
  const chunk = { tokens, weights: new Float32Array(text.positions).fill(1) };
  return { groups: [[{ chunks: [chunk], count: 1 }]], clipSkip: 1, restoreMean: true };
}

/** An 8×8 latent, Euler, sigmas falling linearly to 0. */
export function sampleRequest({ text, unet }: ModelDescription, steps: number, seeds = [1]): SampleRequest {
  const features = (value: number) => ({
    data: new Float32Array(text.positions * unet.contextWidth).fill(value),
    tokens: text.positions,
    width: unet.contextWidth,
  });
  return {
    latentWidth: 8,
    latentHeight: 8,
    seeds,
    noiseSource: 'philox',
    sampler: 'euler',
    samplerOptions: { eta: 1, sChurn: 0, sTmin: 0, sTmax: Number.MAX_VALUE, sNoise: 1 },
    sigmas: Float32Array.from({ length: steps + 1 }, (_, i) => 14.6 * (1 - i / steps)),
    cfgScale: 7,
    conditionings: [features(0.5), features(0.25)],
    parts: [{ weight: 1, stages: [{ until: steps, conditioning: 0 }] }],
    uncond: [{ until: steps, conditioning: 1 }],
  };
}

/** Far more steps than any test waits for: a run that only cancelling ends soon. */
export const ENDLESS = 20_000;
