import { shortHash } from '../checkpoints/hash.js';
import { type CommandOptions, createContext, type OpenModel, type ResolvedDevice } from '../context/runtime-context.js';
import type { Capabilities, ModelDescription, ModelOverrides } from '../native/types.js';
import {
  type GenerationPlan,
  hashPlan,
  imageCount,
  type PlanPart,
  parsePlan,
  passesOf,
  pictureSize,
} from '../pipeline/plan.js';
import type { PlanHires } from '../pipeline/plan-hires.js';
import { beginWith } from '../pipeline/start.js';
import { settingsOf } from '../pipeline/start-pictures.js';
import { parseWith } from '../request/describe.js';
import { FailureError, UsageError } from '../request/errors.js';
import type { PictureInput } from '../request/img2img.js';
import { type TextToImageInput, textToImageSchema } from '../request/txt2img.js';
import { isLatentUpscaler } from '../request/upscalers.js';
import { findSampler } from '../sampling/samplers.js';
import { resolveDevice } from './device.js';
import type { ModelProvider } from './model-provider.js';
import {
  estimateRun,
  gridSize,
  type OutputOptions,
  type PreparedRun,
  type PrepareInput,
  type PrepareParts,
} from './prepare.js';
import { readInputs, requireInputs } from './run-inputs.js';

/** A saved plan in a request's place: what it says is run, and the rest is how its pictures are kept. */
export interface PlanInput extends Partial<Pick<TextToImageInput, keyof OutputOptions>> {
  readonly plan: unknown;
  /** Whether a model that is given by name may be another than the plan's; the plan that is run then names it. */
  readonly otherModel?: boolean;
  /** The pictures that the plan was made with, and its mask, where it begins with such. */
  readonly initImages?: readonly PictureInput[] | undefined;
  readonly mask?: PictureInput | undefined;
}

export function isPlanInput(input: unknown): input is PlanInput {
  return typeof input === 'object' && input !== null && Object.hasOwn(input, 'plan');
}

const outputSchema = textToImageSchema.pick({ format: true, quality: true, grid: true, trail: true });

/**
 * The plan's own device and precision unless others are asked for. An fp32 plan gives the same bytes on every device, so
 * that one which is not built here may be any other.
 * @throws UsageError
 */
export function deviceOfPlan(
  { device }: GenerationPlan,
  asked: Pick<CommandOptions, 'device' | 'precision'>,
  capabilities: Capabilities,
): ResolvedDevice {
  const precision = asked.precision === 'auto' ? device.precision : asked.precision;
  const isHere = capabilities.devices.some(({ name, precisions }) => name === device.name && precisions.length > 0);
  const own = isHere || precision !== 'fp32' ? device.name : 'auto';
  return resolveDevice({ device: asked.device === 'auto' ? own : asked.device, precision }, capabilities);
}

const sameSize = (a: { width: number; height: number }, b: { width: number; height: number }): boolean =>
  a.width === b.width && a.height === b.height;

/** Where the model or VAE of a plan lies. @throws FailureError E_MODEL_NOT_FOUND */
async function locate(
  what: 'model' | 'vae',
  wanted: { readonly name: string; readonly sha256: string },
  provider: ModelProvider,
  { modelsDirs }: CommandOptions,
  signal: AbortSignal,
): Promise<string> {
  const found = await provider.locate?.(wanted, modelsDirs, signal);
  if (found !== undefined) return found;
  const name = JSON.stringify(wanted.name.slice(0, 80));
  throw new FailureError(
    'E_MODEL_NOT_FOUND',
    `there is no ${what === 'vae' ? 'VAE' : 'model'} of hash ${shortHash(wanted.sha256)} (${name}) in ` +
      `${modelsDirs.join(' or ')}: give it with --${what}`,
  );
}

/** What the model's file says otherwise than the plan, as overrides. */
function overridesFor({ model }: GenerationPlan, description: ModelDescription): ModelOverrides {
  const { predictionType, scaleFactor, textHeads, unetHeads, zeroTerminalSnr } = model;
  const isUniform = unetHeads.every((heads) => heads === unetHeads[0]);
  const here = description.unet.heads.value;
  const sameHeads = here.length === unetHeads.length && here.every((heads, level) => heads === unetHeads[level]);
  return {
    ...(predictionType === 'probe' || predictionType === description.predictionType.value ? {} : { predictionType }),
    ...(scaleFactor === description.scaleFactor.value ? {} : { scaleFactor }),
    ...(textHeads === description.text.heads.value ? {} : { textHeads }),
    ...(sameHeads || !isUniform || unetHeads[0] === undefined ? {} : { unetHeads: unetHeads[0] }),
    ...(zeroTerminalSnr === description.noise.zeroTerminalSnr.value ? {} : { zeroTerminalSnr }),
  };
}

/** A second pass must lie within what is enlarged, and its model must be able to read pictures where it asks for that. */
function requireHires(hires: PlanHires, { latentScale, vae }: ModelDescription, refuse: (why: string) => never): void {
  const { resized, latentWidth, latentHeight, upscaler } = hires;
  const cells = (side: number): number => Math.floor(side / latentScale);
  if (latentWidth > cells(resized.width) || latentHeight > cells(resized.height)) {
    refuse(`its second pass of ${hires.width}x${hires.height} is larger than ${resized.width}x${resized.height}`);
  }
  if (!isLatentUpscaler(upscaler) && !vae.hasEncoder) refuse(`its VAE has no encoder, which ${upscaler} needs`);
}

/** @throws FailureError E_PLAN where the plan is for models of another shape */
function requireFit(plan: GenerationPlan, { description }: OpenModel): void {
  const refuse = (why: string): never => {
    throw new FailureError('E_PLAN', `the plan does not fit the model: ${why}`);
  };
  const { latentScale, text } = description;
  for (const { width, height, latentWidth, latentHeight } of passesOf(plan)) {
    if (width === latentWidth * latentScale && height === latentHeight * latentScale) continue;
    refuse(`${width}x${height} is not ${latentScale} times its latent's ${latentWidth}x${latentHeight}`);
  }
  if (plan.hires !== null) requireHires(plan.hires, description, refuse);
  if (plan.textWindow !== text.positions) refuse(`it has windows of ${plan.textWindow} tokens, not ${text.positions}`);
  const parts: readonly (PlanPart | null)[] = passesOf(plan).flatMap(({ prompt, negativePrompt }) => [
    ...prompt.parts,
    negativePrompt.part,
  ]);
  for (const { tokens } of parts.flatMap((part) => part?.texts.flatMap(({ chunks }) => chunks) ?? [])) {
    if (tokens.length !== text.positions) refuse(`a chunk has ${tokens.length} tokens, not ${text.positions}`);
    const strange = tokens.find((token) => token >= text.vocabulary);
    if (strange !== undefined) refuse(`the token ${strange} is not in its vocabulary of ${text.vocabulary}`);
  }
  const heads = description.unet.heads.value;
  if (heads.join() !== plan.model.unetHeads.join()) {
    refuse(`its UNet has ${plan.model.unetHeads.join(', ')} attention heads by level, not ${heads.join(', ')}`);
  }
  const sizes = (batches: readonly (readonly number[])[]): string => batches.map(({ length }) => length).join();
  if (plan.variation !== null && sizes(plan.variation.batches) !== sizes(plan.batches)) {
    refuse('its variation has other batches than its seeds');
  }
}

async function openFor(plan: GenerationPlan, input: PlanInput, run: PrepareInput, provider: ModelProvider) {
  const { commandOptions, state } = run;
  const { signal } = state;
  const device = deviceOfPlan(plan, commandOptions, await provider.capabilities());
  const { vae } = plan.model;
  const path = commandOptions.model ?? (await locate('model', plan.model, provider, commandOptions, signal));
  const vaePath =
    commandOptions.vae ?? (vae === null ? 'none' : await locate('vae', vae, provider, commandOptions, signal));
  const open = (overrides: ModelOverrides) =>
    provider.getModel({ ...commandOptions, model: path, vae: vaePath, overrides, device }, signal);
  let model = await open(commandOptions.overrides);
  try {
    if (input.otherModel !== true) requireSame(plan, model);
    const needed = overridesFor(plan, model.description);
    if (Object.keys(needed).length > 0) {
      model.release?.();
      model = await open({ ...needed, ...commandOptions.overrides });
    }
    requireFit(plan, model);
    return { device, model };
  } catch (error) {
    model.release?.();
    throw error;
  }
}

/** @throws FailureError E_MODEL_MISMATCH */
function requireSame({ model: wanted }: GenerationPlan, model: OpenModel): void {
  const compare = (what: string, theirs: string | undefined, ours: string | undefined): void => {
    if (theirs === ours) return;
    const told = (hash: string | undefined): string => (hash === undefined ? 'none' : shortHash(hash));
    throw new FailureError(
      'E_MODEL_MISMATCH',
      `the plan is for the ${what} ${told(theirs)}, not for ${told(ours)}: give that one, or make a new plan`,
    );
  };
  compare('model', wanted.sha256, model.sha256);
  compare('VAE', wanted.vae?.sha256, model.vae?.sha256);
}

/**
 * The pictures that a plan begins with.
 * @throws FailureError E_INPUT where they are not those that it was made with
 */
async function picturesOf(plan: GenerationPlan, input: PlanInput, latentScale: number, signal: AbortSignal) {
  const { start } = plan;
  const { initImages = [], mask } = input;
  if (start === null) {
    if (initImages.length === 0 && mask === undefined) return {};
    throw new UsageError('the plan begins with no picture: give none', 'initImages');
  }
  if (initImages.length === 0) throw new UsageError('the plan begins with a picture: give it too', 'initImages');
  const inputs = await readInputs(initImages, mask);
  requireInputs(start, inputs);
  const pictures = await beginWith(inputs, settingsOf(start, plan, latentScale), signal);
  const { width, height } = pictures.encoded[0] ?? plan;
  const { output } = pictures;
  if (width !== start.encoded.width || height !== start.encoded.height || !sameSize(output, start.output)) {
    throw new FailureError('E_PLAN', "the plan's sizes are not those that its pictures give");
  }
  return { pictures, inputs, notes: inputs.notes };
}

/** The plan as it runs here: on this device, with this model. */
function asRun(plan: GenerationPlan, device: ResolvedDevice, { name, sha256, vae }: OpenModel): GenerationPlan {
  const isSame = plan.model.sha256 === sha256 && plan.model.vae?.sha256 === vae?.sha256;
  const model = isSame
    ? plan.model
    : { ...plan.model, name, sha256, vae: vae === undefined ? null : { name: vae.name, sha256: vae.sha256 } };
  return { ...plan, device: { name: device.name, precision: device.precision }, model };
}

/**
 * As `prepareRun`, from a plan: nothing is decided anew but the device, where another is asked for or needed.
 * @throws UsageError, FailureError, or what the provider throws
 */
export async function preparePlan(run: PrepareInput, input: PlanInput, parts: PrepareParts): Promise<PreparedRun> {
  const { commandOptions, state, naming, onStage } = run;
  onStage('validate');
  const saved = parsePlan(input.plan);
  const { plan: _, otherModel: _other, initImages: _images, mask: _mask, ...rest } = input;
  const output = parseWith(outputSchema, rest, naming);
  for (const { sampler } of passesOf(saved)) findSampler(sampler.id);
  onStage('override-options');
  onStage('snapshot');
  const options = parts.options.snapshot();
  onStage('model');
  const { device, model } = await openFor(saved, input, run, parts.provider);
  try {
    onStage('seeds');
    const sheet = output.grid ? gridSize(imageCount(saved), pictureSize(saved)) : undefined;
    onStage('context');
    const context = createContext({ model, options, device, state, commandOptions });
    onStage('plan');
    const plan = asRun(saved, device, model);
    const start = await picturesOf(plan, input, model.description.latentScale, state.signal);
    return { output, context, plan, planSha256: hashPlan(plan), sheet, ...start, ...estimateRun(plan, context, sheet) };
  } catch (error) {
    model.release?.();
    throw error;
  }
}
