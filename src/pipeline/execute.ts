import { createHash } from 'node:crypto';
import { endianness } from 'node:os';
import type { RuntimeContext } from '../context/runtime-context.js';
import type { HookCall, HookKind, HookReply } from '../native/hook-types.js';
import type { DecodedImage, Latent, OpProfile, Sampled, SampleRequest, TextInput, VaeImage } from '../native/types.js';
import { FailureError } from '../request/errors.js';
import { walkedSteps } from '../sampling/walks.js';
import { sampleUntilEnd } from './early-end.js';
import { type BatchStart, encodeStart } from './encode-start.js';
import { canonicalJson, type GenerationPlan, imageCount, type PlanPart } from './plan.js';
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
  /** The VAE's result was not finite in the plan's precision, and the picture was decoded again in fp32. */
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
async function encodeTexts(plan: GenerationPlan, context: RuntimeContext, hooks: ExecuteHooks): Promise<Prompts> {
  const { part: negative } = plan.negativePrompt;
  const needed = negative === null ? plan.prompt.parts : [...plan.prompt.parts, negative];
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
    parts: plan.prompt.parts.map((part, i) => ({ weight: part.weight, stages: stagesOf(part, keys[i]) })),
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
    start: begin(first, plan.batches[batch]?.length ?? 0),
    ...(noiseInterval === undefined || noiseInterval === null ? {} : { noiseInterval }),
  };
}

async function sample(
  batch: number,
  prompts: Prompts,
  begin: BatchStart | undefined,
  plan: GenerationPlan,
  context: RuntimeContext,
  hooks: ExecuteHooks,
): Promise<Sampled> {
  const { id, eta, sChurn, sTmin, sTmax, sNoise, unipcVariant, unipcOrder } = plan.sampler;
  const { state, model } = context;
  const listener = hooks.latents?.(batch + 1, walkedSteps(plan.sigmas));
  const sampled = await sampleUntilEnd(
    model.engine,
    {
      latentWidth: plan.latentWidth,
      latentHeight: plan.latentHeight,
      ...noiseOf(plan, batch, model.description.latentScale),
      sampler: id,
      samplerOptions: { eta, sChurn, sTmin, sTmax, sNoise, unipcVariant, unipcOrder },
      sigmas: Float32Array.from(plan.sigmas),
      ...(plan.timesteps === null ? {} : { timesteps: Float32Array.from(plan.timesteps) }),
      startWithSignal: plan.startWithSignal,
      wholeTimesteps: plan.wholeTimesteps,
      cfgScale: plan.cfgScale,
      ...prompts,
      ...startOf(batch, plan, begin),
      previewEvery: hooks.previewEvery,
      profile: hooks.onProfile !== undefined,
      trail: hooks.trail,
      ...(listener === undefined ? {} : { hooks: listener.hooks }),
    },
    {
      signal: state.signal,
      onHook: listener?.onHook,
      onStep: (event) => {
        state.completeStep(event.step, event.sigma, event.evaluations);
        hooks.onStep(event.preview);
      },
    },
    state.earlyEnd,
  );
  hooks.onProfile?.(sampled.profile);
  return sampled;
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
  { latent, trail }: Sampled,
  { tiling }: GenerationPlan,
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
  return images.map((image, i) => {
    const passes = trail === undefined ? undefined : [passOf(trail, i)];
    return describeImage(
      { index: done + i, seed: seeds[i] ?? 0, latentSha256: latentHash(latent, i), trail: passes },
      pictures === undefined ? image : { ...image, ...pictures.finish({ ...image, channels: 3 }, done + i) },
    );
  });
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
  state.plan(imageCount(plan), plan.batches.length, walkedSteps(plan.sigmas));
  const wasLoaded = model.loaded;
  await hooks.time('load', () => model.load(state.signal, (share) => hooks.onProgress('load', share)));
  if (!wasLoaded) hooks.onLoaded?.();
  const prompts = await hooks.time('encode', () => encodeTexts(plan, context, hooks));
  const begin = pictures && (await hooks.time('encode', () => encodeStart(plan, pictures, context)));
  for (const [index, seeds] of plan.batches.entries()) {
    state.signal.throwIfAborted();
    if (state.earlyEnd?.interrupted) return;
    state.beginBatch(index + 1);
    const sampled = await hooks.time('sample', () => sample(index, prompts, begin, plan, context, hooks));
    yield await hooks.time('decode', () => decode(seeds, sampled, plan, context, hooks, pictures));
  }
}
