import { z } from 'zod';
import { derive, OptionStore, optionsSchema } from '../context/options.js';
import { checkNames } from '../pipeline/text-to-image.js';
import type { FieldNaming } from '../request/describe.js';
import { UsageError } from '../request/errors.js';
import { didYouMean } from '../request/nearest.js';
import { showValue } from '../request/show-value.js';
import { parseTextToImage, samplingSteps, textToImageSchema } from '../request/txt2img.js';
import { imageToImage } from './image-to-image.js';
import type { RequestKind, Workload } from './request-kind.js';

export type { RequestKind, Workload } from './request-kind.js';

const textToImage: RequestKind = {
  name: 'txt2img',
  schema: textToImageSchema,
  marks: [],
  check: (fields, naming) => {
    const request = parseTextToImage(fields, naming);
    checkNames(request);
    return { steps: samplingSteps(request), pixels: request.width * request.height * request.batchSize };
  },
  toInput: (fields) => fields,
};

/** The first is what a line is unless it says or shows otherwise. */
export const KINDS: readonly [RequestKind, ...RequestKind[]] = [textToImage, imageToImage];

/** Which model: fields of a line that are not of the request but of what it runs on. */
export const MODEL_FIELDS = ['model', 'vae'] as const;

/** A line's own words, which are no fields of requests. */
export const LINE_FIELDS = ['kind', 'axes'] as const;

/** What a batch decides itself. */
const REFUSED: Readonly<Record<string, string>> = {
  grid: 'grid is not for the lines of a batch',
};

/** Other spellings of fields, by their letters and digits alone: the webui's, its X/Y/Z plot's, the flags'. */
const ALIASES: Readonly<Record<string, string>> = {
  samplername: 'sampler',
  samplerindex: 'sampler',
  samplingmethod: 'sampler',
  scheduletype: 'scheduler',
  cfg: 'cfgScale',
  samplingsteps: 'steps',
  niter: 'count',
  batchcount: 'count',
  varseed: 'subseed',
  variationseed: 'subseed',
  varstrength: 'subseedStrength',
  variationseedstrength: 'subseedStrength',
  negative: 'negativePrompt',
  checkpoint: 'model',
  checkpointname: 'model',
  sdmodelcheckpoint: 'model',
  sdvae: 'vae',
  style: 'styles',
  clipstopatlastlayers: 'clipSkip',
  rngsource: 'rng',
  ensd: 'etaNoiseSeedDelta',
  seedresizefromwidth: 'seedResizeFromW',
  seedresizefromheight: 'seedResizeFromH',
  sigmachurn: 'sChurn',
  sigmatmin: 'sTmin',
  sigmatmax: 'sTmax',
  sigmanoise: 'sNoise',
  scheduleminsigma: 'sigmaMin',
  schedulemaxsigma: 'sigmaMax',
  schedulerho: 'rho',
  betaalpha: 'betaDistAlpha',
  betabeta: 'betaDistBeta',
  betaschedulealpha: 'betaDistAlpha',
  betaschedulebeta: 'betaDistBeta',
  discardpenultimate: 'alwaysDiscardNextToLastSigma',
  oldkarrassigmas: 'useOldKarrasSchedulerSigmas',
  sgmnoise: 'sgmNoiseMultiplier',
  wholetimesteps: 'enableQuantization',
  comments: 'promptComments',
  oldschedules: 'oldPromptSchedules',
  unipcskip: 'uniPcSkipType',
  samplesformat: 'format',
  jpegquality: 'quality',
};

const lettersOf = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, '');

/** Every field that a line may have, by its own name. */
export function knownFields(): string[] {
  const requests = KINDS.flatMap(({ schema }) => Object.keys(schema.shape));
  return [...new Set([...requests, ...Object.keys(optionsSchema.shape), ...MODEL_FIELDS, ...LINE_FIELDS])];
}

/**
 * A field by any of its spellings: cfgScale, cfg_scale, cfg-scale, "CFG Scale".
 * @throws UsageError naming the nearest, where there is none
 */
export function fieldOf(name: string): string {
  const wanted = lettersOf(name);
  const known = knownFields();
  const field =
    known.find((one) => lettersOf(one) === wanted) ?? (Object.hasOwn(ALIASES, wanted) ? ALIASES[wanted] : undefined);
  const refused = REFUSED[field ?? ''];
  if (refused !== undefined) throw new UsageError(refused, field);
  if (field !== undefined && known.includes(field)) return field;
  throw new UsageError(`${showValue(name)} is not a field of a request${didYouMean(name, known)}`, name);
}

/** @throws UsageError */
export function kindOf(fields: Readonly<Record<string, unknown>>): RequestKind {
  const { kind } = fields;
  const asked = KINDS.find(({ name }) => name === kind);
  if (asked !== undefined) return asked;
  if (kind !== undefined) {
    const names = KINDS.map(({ name }) => name);
    throw new UsageError(
      `kind must be ${names.join(' or ')}; ${showValue(kind)} is not${didYouMean(String(kind), names)}`,
      'kind',
    );
  }
  return KINDS.find(({ marks }) => marks.some((field) => fields[field] !== undefined)) ?? KINDS[0];
}

/** The three places that a line's fields go to. */
export interface SplitFields {
  readonly request: Readonly<Record<string, unknown>>;
  readonly options: Readonly<Record<string, unknown>>;
  readonly model: Readonly<Partial<Record<(typeof MODEL_FIELDS)[number], string>>>;
}

const pickFrom = (fields: Readonly<Record<string, unknown>>, wanted: (name: string) => boolean) =>
  Object.fromEntries(Object.entries(fields).filter(([name, value]) => wanted(name) && value !== undefined));

/** What both a request and the options have is the request's. */
export function splitFields(kind: RequestKind, fields: Readonly<Record<string, unknown>>): SplitFields {
  const isRequest = (name: string): boolean => Object.hasOwn(kind.schema.shape, name);
  const isModel = (name: string): boolean => (MODEL_FIELDS as readonly string[]).includes(name);
  return {
    request: pickFrom(fields, isRequest),
    options: pickFrom(fields, (name) => !isRequest(name) && Object.hasOwn(optionsSchema.shape, name)),
    model: pickFrom(fields, isModel),
  };
}

/**
 * Everything of a line that can be refused without its model.
 * @throws UsageError
 */
export function checkFields(
  kind: RequestKind,
  fields: Readonly<Record<string, unknown>>,
  naming: FieldNaming,
): Workload {
  const foreign = Object.keys(fields).find((name) => !belongsTo(kind, name));
  if (foreign !== undefined) throw new UsageError(`${naming(foreign)} is not a field of ${kind.name}`, foreign);
  const { request, options, model } = splitFields(kind, fields);
  for (const [name, value] of Object.entries(model)) {
    if (typeof value !== 'string' || value === '') {
      throw new UsageError(`${naming(name)} must be a file or a model's name; ${showValue(value)} is not`, name);
    }
  }
  derive(new OptionStore().snapshot(), options, naming);
  return kind.check(request, naming);
}

function belongsTo(kind: RequestKind, name: string): boolean {
  const places: readonly object[] = [kind.schema.shape, optionsSchema.shape];
  return places.some((shape) => Object.hasOwn(shape, name)) || (MODEL_FIELDS as readonly string[]).includes(name);
}

/** What a field's values are: how text stands for them, and whether a list is one value or several. */
export interface FieldType {
  readonly kind: 'number' | 'boolean' | 'text' | 'choice' | 'numbers' | 'texts' | 'other';
  readonly whole: boolean;
  readonly choices: readonly string[];
}

export function fieldType(kind: RequestKind, name: string): FieldType {
  const text: FieldType = { kind: 'text', whole: false, choices: [] };
  let type: unknown = kind.schema.shape[name] ?? Reflect.get(optionsSchema.shape, name);
  while (type instanceof z.ZodDefault || type instanceof z.ZodOptional || type instanceof z.ZodNullable)
    type = type.unwrap();
  if (type === undefined || type instanceof z.ZodString) return text;
  if (type instanceof z.ZodNumber)
    return { ...text, kind: 'number', whole: type.isInt === true || type.format === 'safeint' };
  if (type instanceof z.ZodUnion) return { ...text, kind: 'number', whole: true };
  if (type instanceof z.ZodBoolean) return { ...text, kind: 'boolean' };
  if (type instanceof z.ZodEnum) return { ...text, kind: 'choice', choices: type.options.map(String) };
  if (type instanceof z.ZodArray) return { ...text, kind: type.element instanceof z.ZodNumber ? 'numbers' : 'texts' };
  return { ...text, kind: 'other' };
}
