import { modelDefaults } from '../checkpoints/defaults.js';
import { derive, type OptionStore, type OptionsSnapshot } from '../context/options.js';
import type { RunState } from '../context/run-state.js';
import {
  type CommandOptions,
  createContext,
  type OpenModel,
  type ResolvedDevice,
  type RuntimeContext,
} from '../context/runtime-context.js';
import { gridLayout, MAX_GRID_PIXELS } from '../image/grid.js';
import type { Estimate, EstimateRequest } from '../native/types.js';
import { encodingOf } from '../pipeline/encoding.js';
import { checkHiresNames, withHires } from '../pipeline/hires.js';
import { planImageToImage, withBatches, withSize } from '../pipeline/image-to-image.js';
import {
  chunkCount,
  type GenerationPlan,
  hashPlan,
  imageCount,
  type PlanPass,
  passesOf,
  pictureSize,
  textBytes,
} from '../pipeline/plan.js';
import { expandPrompts } from '../pipeline/prompts.js';
import { type RandomInteger, runSeeds } from '../pipeline/seeds.js';
import type { RunInputs, StartPictures } from '../pipeline/start-pictures.js';
import { checkNames, planTextToImage } from '../pipeline/text-to-image.js';
import type { ClipTokenizer } from '../prompt/tokenizer.js';
import type { FieldNaming } from '../request/describe.js';
import { UsageError } from '../request/errors.js';
import { type ImageToImageRequest, isImageInput, parseImageToImage } from '../request/img2img.js';
import { parseTextToImage, type TextToImageRequest } from '../request/txt2img.js';
import { isLatentUpscaler } from '../request/upscalers.js';
import type { MemoryNeed } from './memory.js';
import type { ModelProvider } from './model-provider.js';
import { openModel } from './open-model.js';
import { readInputs } from './run-inputs.js';
import { loadStyles } from './styles.js';

/** The order in which a run goes; each is told before it begins. */
export const STAGES = [
  'validate',
  'override-options',
  'snapshot',
  'model',
  'seeds',
  'context',
  'plan',
  'execute',
  'finalize',
] as const;
export type Stage = (typeof STAGES)[number];

export interface PrepareInput {
  readonly input: unknown;
  readonly overrideOptions: unknown;
  readonly commandOptions: CommandOptions;
  readonly state: RunState;
  readonly naming: FieldNaming | undefined;
  readonly onStage: (stage: Stage) => void;
}

export interface PrepareParts {
  readonly provider: ModelProvider;
  readonly options: OptionStore;
  readonly tokenizer: (model: OpenModel) => ClipTokenizer | Promise<ClipTokenizer>;
  readonly random: RandomInteger | undefined;
}

/** How pictures are kept. */
export type OutputOptions = Pick<TextToImageRequest, 'format' | 'quality' | 'grid' | 'trail'>;

type AnyRequest = TextToImageRequest | ImageToImageRequest;

/** All that is known before anything is computed. */
export interface PreparedRun {
  readonly output: OutputOptions;
  readonly context: RuntimeContext;
  readonly plan: GenerationPlan;
  readonly planSha256: string;
  readonly estimate: Estimate;
  readonly memory: MemoryNeed;
  /** The grid's size in pixels, where one was asked for. */
  readonly sheet: PixelSize | undefined;
  /** What the run begins with, where that is more than noise. */
  readonly pictures?: StartPictures | undefined;
  /** The same as they were given. */
  readonly inputs?: RunInputs | undefined;
  /** Lines for people, about what was decided for them. */
  readonly notes?: readonly string[] | undefined;
  /** Names of extensions that may change the pictures; a plan alone does not give those again. */
  readonly extensions?: readonly string[] | undefined;
}

export interface PixelSize {
  readonly width: number;
  readonly height: number;
}

/** The grid's size. @throws UsageError when it would be too large, before the pictures are made */
export function gridSize(images: number, { width, height }: PixelSize): PixelSize {
  const { rows, columns } = gridLayout(images, 'auto');
  const sheet = { width: columns * width, height: rows * height };
  if (sheet.width * sheet.height <= MAX_GRID_PIXELS) return sheet;
  throw new UsageError(
    `grid would be a sheet of ${sheet.width}x${sheet.height}, more than ${MAX_GRID_PIXELS} pixels: ` +
      'ask for fewer or smaller pictures',
    'grid',
  );
}

/** Fields that are given; one that is undefined counts as absent. */
function givenFields(input: unknown): unknown {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) return input;
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined));
}

/** What an estimate is told of the pictures that are encoded. */
function encodedRequest(plan: GenerationPlan, { model }: RuntimeContext): Pick<EstimateRequest, 'encoded'> {
  const encoding = encodingOf(plan, model.description);
  if (encoding === undefined) return {};
  const { tiling, latentWidth, latentHeight } = encoding;
  return { encoded: { latentWidth, latentHeight, ...(tiling === 'none' ? {} : { tiling }) } };
}

/** Pictures on their way: those that a second pass enlarges, and what is put together of a result and its original. */
function passingBytes({ batches, width, height, start, hires }: GenerationPlan): number {
  const pixels = (size: PixelSize): number => size.width * size.height;
  const batch = Math.max(...batches.map(({ length }) => length));
  const enlarged =
    hires === null || isLatentUpscaler(hires.upscaler) ? 0 : 3 * batch * width * height + 3 * pixels(hires.resized);
  // RGBA, RGB and where they lie; L*a*b* of both, matched, and back.
  const overlaid = start?.mask ? (4 + 3 + 1) * pixels(start.output) : 0;
  const corrected = start?.colorCorrection ? 5 * 3 * width * height : 0;
  return enlarged + overlaid + corrected;
}

/** What the engine needs for one pass of a plan. */
function estimatePass(pass: PlanPass, plan: GenerationPlan, context: RuntimeContext): Estimate {
  const { part: negative } = pass.negativePrompt;
  const condTokens = chunkCount(pass.prompt.parts) * plan.textWindow;
  return context.model.engine.estimate({
    latentWidth: pass.latentWidth,
    latentHeight: pass.latentHeight,
    batch: plan.batches[0]?.length ?? 1,
    condTokens,
    uncondTokens: negative === null ? condTokens : chunkCount([negative]) * plan.textWindow,
    ...(pass.tiling === 'none' ? {} : { tiling: pass.tiling }),
    ...encodedRequest(plan, context),
    useUncond: negative !== null,
  });
}

/** Memory and work of a plan on a context's model; the estimate is that of the pass that needs most. */
export function estimateRun(
  plan: GenerationPlan,
  context: RuntimeContext,
  sheet: PixelSize | undefined,
): { estimate: Estimate; memory: MemoryNeed } {
  const { width, height } = pictureSize(plan);
  const passes = passesOf(plan);
  const estimates = passes.map((pass) => estimatePass(pass, plan, context));
  const [first = estimatePass(plan, plan, context), ...more] = estimates;
  const estimate = more.reduce((most, one) => (one.peakBytes > most.peakBytes ? one : most), first);
  const { width: textWidth } = context.model.description.text;
  const texts = passes.reduce((sum, pass) => sum + textBytes(pass, plan.textWindow, textWidth), 0);
  const memory = {
    engineBytes: estimate.peakBytes + texts,
    // Whoever made pictures from text alone has not read the encoder.
    loadedBytes: context.model.loaded ? estimate.weightBytes - estimate.parts.encoder.weightBytes : 0,
    pictureBytes:
      3 * (imageCount(plan) * width * height + (sheet?.width ?? 0) * (sheet?.height ?? 0)) + passingBytes(plan),
  };
  return { estimate, memory };
}

/** A run whose model is open. */
interface OpenedRun extends PrepareInput {
  /** The request's fields as they were given. */
  readonly asked: unknown;
  readonly inputs: RunInputs | undefined;
  readonly texts: ReturnType<typeof expandPrompts>;
  readonly options: OptionsSnapshot;
  readonly device: ResolvedDevice;
  readonly model: OpenModel;
}

/** A request of either kind: one that has pictures begins with them. @throws UsageError */
function parseRequest(given: unknown, naming: FieldNaming | undefined): AnyRequest {
  return isImageInput(given) ? parseImageToImage(given, naming) : parseTextToImage(given, naming);
}

/**
 * validate → override options → snapshot → model → seeds → context → plan. Reads a checkpoint's header, no weight.
 * @throws UsageError, FailureError, or what the provider throws
 */
export async function prepareRun(run: PrepareInput, parts: PrepareParts): Promise<PreparedRun> {
  const { commandOptions, state, naming, onStage } = run;
  onStage('validate');
  const given = givenFields(run.input);
  const asked = parseRequest(given, naming);
  checkNames(asked);
  if (!('initImages' in asked)) checkHiresNames(asked);
  const inputs = 'initImages' in asked ? await readInputs(asked.initImages, asked.mask) : undefined;
  onStage('override-options');
  const options = derive(parts.options.snapshot(), run.overrideOptions, naming);
  const texts = expandPrompts(asked, options, await loadStyles(asked.styles, commandOptions));
  onStage('snapshot');
  onStage('model');
  const { device, model } = await openModel(commandOptions, parts.provider, state.signal);
  try {
    return await planRun({ ...run, asked: given, inputs, texts, options, device, model }, parts);
  } catch (error) {
    model.release?.();
    throw error;
  }
}

/** The request with the model's own defaults, of which sizes do not count for pictures. */
function completeRequest({ asked, texts, model, naming, inputs }: OpenedRun) {
  const { prompt, negativePrompt } = texts;
  const { hiresPrompt, hiresNegativePrompt } = { hiresPrompt: '', hiresNegativePrompt: '', ...texts };
  const own = modelDefaults(model.description.metadata, model.path, model.description.noise.trailingTimesteps);
  if (inputs === undefined) {
    const words = { prompt, negativePrompt, hiresPrompt, hiresNegativePrompt };
    const request = parseTextToImage({ ...own, ...(asked as object), ...words }, naming);
    return { request, inputs };
  }
  const { width: _width, height: _height, ...defaults } = own;
  const given = parseImageToImage({ ...defaults, ...(asked as object), prompt, negativePrompt }, naming);
  return { request: withBatches(withSize(given, inputs), inputs.pictures.length), inputs };
}

/** seeds → context → plan, on an open model. */
async function planRun(run: OpenedRun, parts: PrepareParts): Promise<PreparedRun> {
  const { commandOptions, state, onStage, options, device, model } = run;
  const completed = completeRequest(run);
  const { request } = completed;
  onStage('seeds');
  const seeds = runSeeds(request, parts.random);
  // Of the size asked for here; where only a part is made or there is a second pass it is looked at again below.
  if (request.grid) gridSize(seeds.batches.flat().length, request);
  onStage('context');
  const context = createContext({ model, options, device, state, commandOptions });
  onStage('plan');
  const tokenizer = await parts.tokenizer(model);
  if (completed.inputs === undefined) {
    const first = planTextToImage(request, context, seeds, tokenizer);
    const plan = withHires(first, completed.request, context, tokenizer);
    const sheet = request.grid ? gridSize(imageCount(plan), pictureSize(plan)) : undefined;
    return { output: request, context, plan, planSha256: hashPlan(plan), sheet, ...estimateRun(plan, context, sheet) };
  }
  const { inputs } = completed;
  const { plan, pictures, notes } = await planImageToImage(completed.request, context, seeds, tokenizer, inputs);
  const sheet = request.grid ? gridSize(imageCount(plan), pictureSize(plan)) : undefined;
  return {
    output: request,
    context,
    plan,
    planSha256: hashPlan(plan),
    sheet,
    pictures,
    inputs,
    notes: [...inputs.notes, ...notes],
    ...estimateRun(plan, context, sheet),
  };
}
