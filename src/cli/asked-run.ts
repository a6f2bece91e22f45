import { resolve } from 'node:path';
import { optionsSchema } from '../context/options.js';
import type { ExtensionRegistry } from '../extensions/registry.js';
import { FailureError, UsageError } from '../request/errors.js';
import { hiresShape } from '../request/hires.js';
import { imageToImageSchema } from '../request/img2img.js';
import { textToImageSchema } from '../request/txt2img.js';
import { type PictureParameters, pictureParameters } from '../runtime/picture-parameters.js';
import type { RunEvent, RunSettings } from '../runtime/processing-runner.js';
import { formatOfOutput } from './destination.js';
import { warn } from './failure.js';
import { type Flags, pick } from './flags.js';
import { tellIgnoredScheduler } from './ignored-scheduler.js';
import { readInputPictures } from './input-pictures.js';
import type { Io } from './io.js';
import { compareModels } from './model-hash.js';
import { DEFAULT_FOLDER } from './options.js';
import { tellPassedOver } from './passed-over.js';
import { hiresFlags, imageFlags } from './picture-flags.js';
import { compareDevices, flagsBesidePlan, readPlanFile } from './plan-file.js';
import { inspectImage, printable } from './run-info.js';
import { readCommandOptions } from './settings.js';
import { takeOver } from './take-over.js';
import { tellUnfamiliar } from './unfamiliar.js';

/** Options that have a flag of their own; those that a request holds too go there. */
const OPTIONS = Object.keys(optionsSchema.shape).filter((key) => !(key in textToImageSchema.shape));

/** What txt2img's flags ask for. */
export interface AskedRun {
  readonly flags: Flags;
  /** A request, or a saved plan. */
  readonly input: unknown;
  readonly settings: Pick<RunSettings, 'commandOptions' | 'overrideOptions' | 'naming'> & {
    readonly onEvent: (event: RunEvent) => void;
  };
}

/** A picture's parameters as extensions want them to be understood. */
function pasted(picture: PictureParameters, extensions: ExtensionRegistry | undefined): PictureParameters {
  if (extensions?.has('infotext_pasted') !== true) return picture;
  const shown = { infotext: picture.text, parameters: Object.fromEntries(picture.complete) };
  const after = extensions.call('infotext_pasted', shown).parameters;
  if (after === shown.parameters) return picture;
  const all = new Map(Object.entries(after));
  return { ...picture, parameters: all, complete: all };
}

/**
 * The flags with what `--from`'s picture says for those that the command line leaves open; a picture's word counts for
 * more than the environment's. What has no place here is told on stderr.
 */
async function withPicture(
  flags: Flags,
  io: Io,
  extensions: ExtensionRegistry | undefined,
  hasPictures: boolean,
): Promise<{ flags: Flags; picture?: PictureParameters }> {
  const from = flags.values.from;
  if (typeof from !== 'string') return { flags };
  const written = pictureParameters(await inspectImage(resolve(io.cwd, from)));
  if (written === undefined || written.parameters.size === 0) {
    throw new FailureError('E_IMAGE_FORMAT', `--from: ${from} carries no parameters to take over`);
  }
  const picture = pasted(written, extensions);
  const { fields, model, vae, left } = takeOver(picture, hasPictures);
  const machine = { ...(model === undefined ? {} : { model }), ...(vae === undefined ? {} : { vae }) };
  const isGiven = (field: string): boolean => flags.origins[field] === 'flag';
  // One's own sigmas and a schedule exclude each other: the flag's side of the two counts.
  const isBeaten = (field: string): boolean =>
    field === 'sigmas' ? isGiven('scheduler') || isGiven('steps') : field === 'scheduler' && isGiven('sigmas');
  const open = Object.entries({ ...fields, ...machine }).filter(([field]) => !isGiven(field) && !isBeaten(field));
  const taken = new Set(open.map(([field]) => field));
  if (left.length > 0) warn(io, printable(`not taken over from ${from}: ${left.join(', ')}`));
  const both = {
    ...flags,
    values: { ...flags.values, ...Object.fromEntries(open) },
    origins: { ...flags.origins, ...Object.fromEntries(open.map(([field]) => [field, 'default' as const])) },
    nameOf: (field: string) => (taken.has(field) ? `${from}'s ${field}` : flags.nameOf(field)),
  };
  return { flags: both, picture };
}

/** How pictures are kept, as a request has it. */
async function outputFields({ values, origins }: Flags, io: Io): Promise<Record<string, unknown>> {
  const output = String(values.output ?? DEFAULT_FOLDER);
  const implied = origins.format === 'flag' ? undefined : await formatOfOutput(output, io.cwd);
  return { format: implied ?? values.format, trail: values.noTrail === true ? false : undefined };
}

type Listener = (event: RunEvent) => void;
const toAll =
  (...listeners: readonly Listener[]): Listener =>
  (event) => {
    for (const listener of listeners) listener(event);
  };

/** Sizes count for pictures only where the command line or a picture's parameters say them. */
function withoutUsualSizes({ values, origins }: Flags): Flags['values'] {
  const isUsual = (field: string): boolean => origins[field] === 'env' || origins[field] === 'file';
  const usual = ['width', 'height'].filter(isUsual);
  return Object.fromEntries(Object.entries(values).filter(([field]) => !usual.includes(field)));
}

/** @throws UsageError for a flag of a second pass that is not asked for */
function requireSecondPass({ values, origins, nameOf }: Flags): void {
  const field = Object.keys(hiresShape).find((name) => name !== 'hires' && origins[name] === 'flag');
  if (field === undefined || values.hires === true) return;
  throw new UsageError(`${nameOf(field)} is of a second pass: add --hires`, field);
}

const FIELDS_OF_PICTURES = imageFlags().map((option) => option.attributeName());
const FIELDS_OF_HIRES = hiresFlags().map((option) => option.attributeName());

/**
 * Where one command takes what runs from text and runs from pictures have: only what the run is counts.
 * @throws UsageError for a flag of the other kind
 */
export function requireForm({ origins, nameOf }: Flags, hasPictures: boolean): void {
  const given = (fields: readonly string[]): string | undefined => fields.find((name) => origins[name] === 'flag');
  const field = given(hasPictures ? FIELDS_OF_HIRES : FIELDS_OF_PICTURES);
  if (field === undefined) return;
  const why = hasPictures
    ? 'is of runs from text alone: leave out the pictures'
    : 'is of a run that begins with a picture: name one';
  throw new UsageError(`${nameOf(field)} ${why}`, field);
}

/** The flags where --no-hires undoes the second pass of a setting or of a picture's parameters. @throws UsageError */
function withoutSecondPass(flags: Flags): Flags {
  const { values, origins } = flags;
  if (values.noHires !== true) return flags;
  if (origins.hires === 'flag' && origins.noHires === 'flag') {
    throw new UsageError('--hires and --no-hires exclude each other', 'hires');
  }
  if (origins.hires === 'flag') return flags;
  return { ...flags, values: { ...values, hires: false }, origins: { ...origins, hires: 'flag' } };
}

/** The fields of a request that begins with pictures. */
async function imageFields(images: readonly string[], flags: Flags, io: Io): Promise<Record<string, unknown>> {
  const { softMask } = flags.values;
  const pictures = await readInputPictures(images, flags, io);
  return { ...withoutUsualSizes(flags), ...pictures, ...(softMask === true ? { maskRound: false } : {}) };
}

/**
 * Reads what the flags name: a picture to take over from, a saved plan, pictures to begin with.
 * @param images files; undefined for a run from text
 * @throws UsageError, FailureError
 */
export async function readRun(
  given: Flags,
  io: Io,
  extensions?: ExtensionRegistry,
  images?: readonly string[],
): Promise<AskedRun> {
  const { plan: file } = given.values;
  if (typeof file === 'string') {
    const flags = flagsBesidePlan(given);
    const plan = await readPlanFile(file, io.cwd);
    const kept = pick({ ...flags.values, ...(await outputFields(flags, io)) }, ['format', 'quality', 'grid', 'trail']);
    const settings = {
      commandOptions: readCommandOptions(flags, io),
      naming: flags.nameOf,
      onEvent: compareDevices(plan, io),
    };
    if (images === undefined && plan.start !== null) {
      throw new UsageError(`${file} begins with a picture: sdgen img2img IMAGE --plan ${file}`, 'plan');
    }
    const pictures = images === undefined ? {} : await readInputPictures(images, flags, io);
    return { flags, input: { plan, ...kept, ...pictures }, settings };
  }
  const { flags, picture } = await withPicture(withoutSecondPass(given), io, extensions, images !== undefined);
  const values = images === undefined ? flags.values : await imageFields(images, flags, io);
  const schema = images === undefined ? textToImageSchema : imageToImageSchema;
  if (images === undefined) requireSecondPass(flags);
  if (values.prompt === undefined) throw new UsageError('--prompt is missing; --prompt "" is an empty one', 'prompt');
  return {
    flags,
    input: pick({ ...values, ...(await outputFields(flags, io)) }, Object.keys(schema.shape)),
    settings: {
      commandOptions: readCommandOptions(flags, io),
      overrideOptions: pick(values, OPTIONS),
      naming: flags.nameOf,
      onEvent: toAll(
        compareModels(picture, io),
        tellIgnoredScheduler(flags, io),
        tellUnfamiliar(io),
        tellPassedOver(io),
      ),
    },
  };
}
