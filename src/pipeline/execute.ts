import { createHash } from 'node:crypto';
import { endianness } from 'node:os';
import type { RuntimeContext } from '../context/runtime-context.js';
import type { HookCall, HookKind, HookReply } from '../native/hook-types.js';
import type { DecodedImage, Latent, OpProfile, Sampled, SampleRequest, TextInput, VaeImage } from '../native/types.js';
import { FailureError } from '../request/errors.js';
import { walkedSteps } from '../sampling/walks.js';
import { sampleUntilEnd } from './early-end.js';
import { type BatchStart, encodePictures } from './encode-start.js';
import { enlarge } from './enlarge.js';
import { canonicalJson, type GenerationPlan, imageCount, type PlanPart, type PlanPass, passesOf } from './plan.js';
import type { RunInputs, StartPictures } from './start-pictures.js';
import { passOf, type Trail } from './trail.js';

/** One finished picture: RGB8, row-major. */
export interface GeneratedImage {
  /** Place in the run, from 0. */
  readonly index: number;
  readonly seed: number;
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8Array;
  readonly pixelSha256: string;
  /** Of the final latent [channels, height, width] as little-endian float32. */
  readonly latentSha256: string;
  /** Of its latent at every step; undefined where it was not asked for, or the run ended early. */
  readonly trail: Trail | undefined;
  /** A result of the VAE, decoded or encoded for it, was not finite in the plan's precision, and was made again in fp32. */
  readonly retriedInFp32: boolean;
  /** What it was computed on, where that is another machine than this. */
  readonly madeOn?: { readonly name: string; readonly precision: string; readonly isa: string } | undefined;
}

/** Answers these hooks of the sampling loop, which waits for it. */
export interface LatentListener {
  readonly hooks: readonly HookKind[];
  readonly onHook: (call: HookCall) => HookReply;
}

export interface ExecuteHooks {
  /** Wraps each stage, for timing. */
  readonly time: <T>(phase: 'load' | 'encode' | 'sample' | 'decode', work: () => Promise<T>) => Promise<T>;
  /** Called when the run's state has changed. */
  readonly onProgress: (event: 'load' | 'image', share?: number) => void;
  /** Called after a step; with the estimate of the result so far where one was asked for. */
  readonly onStep: (preview: Latent | undefined) => void;
  /** Steps from one preview to the next; 0: none. */
  readonly previewEvery: number;
  /** Whether pictures get a trail. */
  readonly trail: boolean;
  /** Who looks into the sampling of a batch (from 1), if anybody does. */
  readonly latents?: ((batch: number, steps: number) => LatentListener | undefined) | undefined;
  /** The weights were read for this run. */
  readonly onLoaded?: (() => void) | undefined;
  /** Gets the engine's profile of every call when given. */
  readonly onProfile?: ((profile: readonly OpProfile[]) => void) | undefined;
}

/** What else a plan's computing elsewhere tells. */
export interface RemoteHooks extends ExecuteHooks {
  readonly planSha256: string;
  /** Another machine has begun. */
  readonly onStarted: () => void;
  /** Its pictures as they stand. */
  readonly onPreviews: (previews: readonly DecodedImage[] | undefined) => void;
  /** What the plan begins with: as it was given, and as it is used. */
  readonly start: { readonly inputs: RunInputs; readonly pictures: StartPictures } | undefined;
  /** Seconds of a phase there. */
  readonly addTime: (phase: 'load' | 'encode' | 'sample' | 'decode', seconds: number) => void;
}

/** Has plans computed elsewhere than on the context's model, whose weights are then never read here. */
export interface RemoteExecutor {
  /** As `executePlan`. */
  execute(plan: GenerationPlan, context: RuntimeContext, hooks: RemoteHooks): AsyncIterable<GeneratedImage[]>;
}

/** A plan's texts as the sampler takes them. */
type Prompts = Pick<SampleRequest, 'conditionings' | 'parts' | 'uncond'>;

/** A part's texts for the engine; each counts as often as the schedule names it. */
function textGroup({ texts, stages }: PlanPart): TextInput[] {
  return texts.map(({ chunks }, place) => ({
    chunks: chunks.map(({ tokens, weights }) => ({
      tokens: Int32Array.from(tokens),
      weights: Float32Array.from(weights),
    })),
    count: Math.max(1, stages.filter(({ text }) => text === place).length),
  }));
}

/** Every distinct text once for the whole run. */
async function encodeTexts(
  plan: GenerationPlan,
  { prompt, negativePrompt: { part: negative } }: PlanPass,
  context: RuntimeContext,
  hooks: ExecuteHooks,
): Promise<Prompts> {
  const needed = negative === null ? prompt.parts : [...prompt.parts, negative];
  // Parts that differ in their weight alone are one group.
  const keys = needed.map(({ texts, stages }) => canonicalJson([texts, stages]));
  const distinct = [...new Set(keys)];
  const groups = distinct.flatMap((key) => needed.slice(keys.indexOf(key), keys.indexOf(key) + 1));
  const request = {
    groups: groups.map(textGroup),
    clipSkip: plan.clipSkip,
    restoreMean: plan.emphasis === 'Original',
    profile: hooks.onProfile !== undefined,
  };
  const { conditionings, profile } = await context.model.engine.encodeText(request, { signal: context.state.signal });
  hooks.onProfile?.(profile);
  const firstOf = (group: number): number => groups.slice(0, group).reduce((sum, { texts }) => sum + texts.length, 0);
  const stagesOf = (part: PlanPart, key: string | undefined) => {
    const first = firstOf(distinct.indexOf(key ?? ''));
    return part.stages.map(({ until, text }) => ({ until, conditioning: first + text }));
  };
  return {
    conditionings: conditionings.flat(),
    parts: prompt.parts.map((part, i) => ({ weight: part.weight, stages: stagesOf(part, keys[i]) })),
    ...(negative === null ? {} : { uncond: stagesOf(negative, keys.at(-1)) }),
  };
}

/** What a request holds of a batch's noise. */
function noiseOf(plan: GenerationPlan, batch: number, latentScale: number) {
  const { variation, resizeFrom, seedDelta, noiseSource } = plan;
  const seeds = plan.batches[batch] ?? [];
  const cells = (pixels: number): number => Math.floor(pixels / latentScale);
  return {
    seeds,
    noiseSource,
    ...(variation === null
      ? {}
      : { variation: { seeds: variation.batches[batch] ?? [], strength: variation.strength } }),
    ...(resizeFrom === null
      ? {}
      : { resizeFrom: { width: cells(resizeFrom.width), height: cells(resizeFrom.height) } }),
    ...(seedDelta === 0 ? {} : { laterSeeds: seeds.map((seed) => seed + seedDelta) }),
  };
}

/** What a request holds of the latents that a batch begins with. */
function startOf(batch: number, plan: GenerationPlan, begin: BatchStart | undefined) {
  if (begin === undefined) return {};
  const first = plan.batches.slice(0, batch).reduce((sum, seeds) => sum + seeds.length, 0);
  const noiseInterval = plan.start?.noiseInterval;
  return {
    ...begin(first, plan.batches[batch]?.length ?? 0),
    ...(noiseInterval === undefined || noiseInterval === null ? {} : { noiseInterval }),
  };
}

/** A pass of sampling: what it goes by, the latents that it begins with, and the steps that are behind it. */
interface PassRun {
  readonly pass: PlanPass;
  readonly prompts: Prompts;
  readonly start: Pick<SampleRequest, 'start' | 'noiseInterval' | 'startWithSignal'>;
  readonly before: { readonly steps: number; readonly evaluations: number };
}

async function sample(
  batch: number,
  { pass, prompts, start, before }: PassRun,
  plan: GenerationPlan,
  context: RuntimeContext,
  hooks: ExecuteHooks,
): Promise<Sampled> {
  const { id, eta, sChurn, sTmin, sTmax, sNoise, unipcVariant, unipcOrder } = pass.sampler;
  const { state, model } = context;
  const listener = hooks.latents?.(batch + 1, walkedSteps(pass.sigmas));
  const sampled = await sampleUntilEnd(
    model.engine,
    {
      latentWidth: pass.latentWidth,
      latentHeight: pass.latentHeight,
      ...noiseOf(plan, batch, model.description.latentScale),
      sampler: id,
      samplerOptions: { eta, sChurn, sTmin, sTmax, sNoise, unipcVariant, unipcOrder },
      sigmas: Float32Array.from(pass.sigmas),
      ...(pass.timesteps === null ? {} : { timesteps: Float32Array.from(pass.timesteps) }),
      wholeTimesteps: pass.wholeTimesteps,
      cfgScale: pass.cfgScale,
      ...prompts,
      ...start,
      previewEvery: hooks.previewEvery,
      profile: hooks.onProfile !== undefined,
      trail: hooks.trail,
      ...(listener === undefined ? {} : { hooks: listener.hooks }),
    },
    {
      signal: state.signal,
      onHook: listener?.onHook,
      onStep: (event) => {
        state.completeStep(before.steps + event.step, event.sigma, before.evaluations + event.evaluations);
        hooks.onStep(event.preview);
      },
    },
    state.earlyEnd,
  );
  hooks.onProfile?.(sampled.profile);
  return sampled;
}

/** A batch's latents after all passes, each pass's trail, and how they are decoded. */
interface SampledBatch {
  readonly latent: Latent;
  readonly trails: readonly Sampled['trail'][];
  readonly tiling: GenerationPlan['tiling'];
  /** What it began with, or what its second pass did, was encoded again in fp32. */
  readonly retried: boolean;
}

/** The second pass over the first one's latents. */
async function sampleHires(
  batch: number,
  first: Sampled,
  hires: NonNullable<GenerationPlan['hires']>,
  prompts: Prompts,
  plan: GenerationPlan,
  context: RuntimeContext,
  hooks: ExecuteHooks,
  onRetry: () => void,
): Promise<Sampled> {
  const listener = { onProfile: hooks.onProfile, onRetry };
  const latent = await hooks.time('decode', () => enlarge(first.latent, hires, plan, context, listener));
  const { extraNoise, timestep, noiseInterval } = hires;
  const before = { steps: walkedSteps(plan.sigmas), evaluations: context.state.view().evaluations };
  const start = {
    start: { latent, extraNoise, ...(timestep === null ? {} : { timestep }) },
    ...(noiseInterval === null ? {} : { noiseInterval }),
  };
  return hooks.time('sample', () => sample(batch, { pass: hires, prompts, start, before }, plan, context, hooks));
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function latentHash(latent: Latent, image: number): string {
  const size = latent.channels * latent.height * latent.width;
  const values = latent.data.subarray(image * size, (image + 1) * size);
  const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  return sha256(endianness() === 'LE' ? bytes : Buffer.from(bytes).swap32());
}

type ImageFacts = Pick<GeneratedImage, 'index' | 'seed' | 'latentSha256' | 'trail'>;

function describeImage(facts: ImageFacts, { width, height, data: pixels, retriedInFp32 }: VaeImage): GeneratedImage {
  return { ...facts, width, height, pixels, pixelSha256: sha256(pixels), retriedInFp32 };
}

async function decode(
  seeds: readonly number[],
  { latent, trails, tiling, retried }: SampledBatch,
  context: RuntimeContext,
  hooks: ExecuteHooks,
  pictures: StartPictures | undefined,
): Promise<GeneratedImage[]> {
  const { state, model } = context;
  const done = state.view().imagesDone;
  const { images, profile } = await model.engine.decode(
    { latent, ...(tiling === 'none' ? {} : { tiling }), profile: hooks.onProfile !== undefined },
    {
      signal: state.signal,
      onImage: (count) => {
        state.completeImages(done + count);
        hooks.onProgress('image');
      },
    },
  );
  hooks.onProfile?.(profile);
  if (images.length !== seeds.length) {
    throw new FailureError('E_INTERNAL', `the engine gave ${images.length} pictures for ${seeds.length} seeds`);
  }
  state.completeImages(done + images.length);
  const made: GeneratedImage[] = [];
  for (const [i, image] of images.entries()) {
    const known = trails.filter((points) => points !== undefined);
    const passes = known.length < trails.length ? undefined : known.map((points) => passOf(points, i));
    const { data, width, height } = image;
    const result = { data, width, height, channels: 3 } as const;
    const finished = pictures === undefined ? image : await pictures.finish(result, done + i, state.signal);
    const facts = { index: done + i, seed: seeds[i] ?? 0, latentSha256: latentHash(latent, i), trail: passes };
    made.push(describeImage(facts, { ...image, ...finished, retriedInFp32: retried || image.retriedInFp32 }));
  }
  return made;
}

/**
 * Computes a plan on a context's model: text once, then noise → sample → decode batch by batch; a plan that begins with
 * pictures needs them. Yields each batch's
 * pictures; stopping the iteration stops the run between batches, the state's signal within one model evaluation.
 * An early end, where the state allows one, gives what there is.
 * @throws what the engine throws: E_CANCELLED, E_NON_FINITE (naming the part), E_OUT_OF_MEMORY …
 */
export async function* executePlan(
  plan: GenerationPlan,
  context: RuntimeContext,
  hooks: ExecuteHooks,
  pictures?: StartPictures,
): AsyncGenerator<GeneratedImage[], void, void> {
  const { state, model } = context;
  const passes = passesOf(plan);
  const steps = passes.reduce((sum, { sigmas }) => sum + walkedSteps(sigmas), 0);
  state.plan(imageCount(plan), plan.batches.length, steps);
  const wasLoaded = model.loaded;
  await hooks.time('load', () => model.load(state.signal, (share) => hooks.onProgress('load', share)));
  if (!wasLoaded) hooks.onLoaded?.();
  const encode = (pass: PlanPass) => hooks.time('encode', () => encodeTexts(plan, pass, context, hooks));
  const prompts = await encode(plan);
  const { hires } = plan;
  const hiresPrompts = hires === null ? undefined : await encode(hires);
  let retried = false;
  const listener = { onProfile: hooks.onProfile, onRetry: () => (retried = true) };
  const begin = await hooks.time('encode', () => encodePictures(plan, pictures, context, listener));
  const begun = retried;
  const sampleBatch = async (index: number): Promise<SampledBatch> => {
    retried = begun;
    const start = { ...startOf(index, plan, begin), startWithSignal: plan.startWithSignal };
    const run = { pass: plan, prompts, start, before: { steps: 0, evaluations: 0 } };
    const first = await hooks.time('sample', () => sample(index, run, plan, context, hooks));
    // Who ends a run early gets what there is.
    if (hires === null || hiresPrompts === undefined || state.earlyEnd?.wanted === true) {
      return { latent: first.latent, trails: [first.trail], tiling: plan.tiling, retried };
    }
    const second = await sampleHires(index, first, hires, hiresPrompts, plan, context, hooks, listener.onRetry);
    return { latent: second.latent, trails: [first.trail, second.trail], tiling: hires.tiling, retried };
  };
  for (const [index, seeds] of plan.batches.entries()) {
    state.signal.throwIfAborted();
    if (state.earlyEnd?.interrupted) return;
    state.beginBatch(index + 1);
    const sampled = await sampleBatch(index);
    yield await hooks.time('decode', () => decode(seeds, sampled, context, hooks, pictures));
  }
}
