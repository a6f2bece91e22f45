import { resolve } from 'node:path';
import { cacheFolder } from '../checkpoints/hash.js';
import { OptionStore, optionsSchema } from '../context/options.js';
import { FailureError, UsageError } from '../request/errors.js';
import { textToImageSchema } from '../request/txt2img.js';
import type { GenerationResult } from '../runtime/finalize.js';
import { CachedModelProvider } from '../runtime/model-provider.js';
import { type PictureParameters, pictureParameters } from '../runtime/picture-parameters.js';
import { ProcessingRunner, type RunEvent, type RunSettings } from '../runtime/processing-runner.js';
import { formatOfOutput, openSink } from './destination.js';
import { EXIT, warn } from './failure.js';
import { type Flags, pick } from './flags.js';
import { Interrupt } from './interrupt.js';
import { type Io, writeAll } from './io.js';
import { compareModels } from './model-hash.js';
import { DEFAULT_FOLDER } from './options.js';
import { createProgress } from './progress.js';
import { dryRunDocument, formatDryRun, formatProfile, runDocument } from './report.js';
import { inspectImage, printable } from './run-info.js';
import { readCommandOptions } from './settings.js';
import { openScreen, type Screen, showPixels } from './show.js';
import { takeOver } from './take-over.js';

/** Options that have a flag of their own; those that a request holds too go there. */
const OPTIONS = Object.keys(optionsSchema.shape).filter((key) => !(key in textToImageSchema.shape));

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

async function printResult(result: GenerationResult, screen: Screen | undefined, flags: Flags, io: Io): Promise<void> {
  const { values } = flags;
  if (screen !== undefined) {
    for (const { pixels: data, width, height } of result.images) await showPixels(screen, { data, width, height });
  }
  if (values.json === true) return writeAll(io.stdout, json(runDocument(result)));
  if (result.profile !== undefined) await writeAll(io.stderr, formatProfile(result.profile));
  if (values.output === '-') return;
  const paths = result.images.map((image) => image.path);
  for (const path of [...paths, result.gridPath]) {
    if (path !== undefined) await writeAll(io.stdout, `${path}\n`);
  }
}

async function dryRun(runner: ProcessingRunner, request: unknown, settings: RunSettings, flags: Flags, io: Io) {
  const prepared = await runner.prepare(request, settings);
  const document = await dryRunDocument(prepared, { model: prepared.context.model.path });
  await writeAll(io.stdout, flags.values.json === true ? json(document) : formatDryRun(document));
}

async function generate(runner: ProcessingRunner, request: unknown, settings: RunSettings, flags: Flags, io: Io) {
  const quiet = flags.values.quiet === true;
  const screen = openScreen(flags, io, flags.values.json !== true && flags.values.output !== '-');
  const progress = quiet ? undefined : createProgress(io);
  try {
    const output = String(flags.values.output ?? DEFAULT_FOLDER);
    const sink = await openSink(output, flags.values.force === true, io);
    const profile = flags.values.profile === true;
    const onEvent = (event: RunEvent): void => {
      settings.onEvent?.(event);
      progress?.onEvent(event);
    };
    const result = await runner.run(request, { ...settings, sink, profile, onEvent });
    progress?.stop();
    for (const { index, retriedInFp32 } of result.images) {
      if (!retriedInFp32) continue;
      const { precision } = result.prepared.plan.device;
      warn(io, `picture ${index + 1}: the VAE's result in ${precision} was not finite; it was decoded again in fp32`);
    }
    await printResult(result, screen, flags, io);
  } finally {
    progress?.stop();
  }
}

/**
 * The flags with what `--from`'s picture says for those that the command line leaves open; a picture's word counts for
 * more than the environment's. What has no place here is told on stderr.
 */
async function withPicture(flags: Flags, io: Io): Promise<{ flags: Flags; picture?: PictureParameters }> {
  const from = flags.values.from;
  if (typeof from !== 'string') return { flags };
  const picture = pictureParameters(await inspectImage(resolve(io.cwd, from)));
  if (picture === undefined || picture.parameters.size === 0) {
    throw new FailureError('E_IMAGE_FORMAT', `--from: ${from} carries no parameters to take over`);
  }
  const { fields, model, left } = takeOver(picture);
  const isGiven = (field: string): boolean => flags.origins[field] === 'flag';
  // One's own sigmas and a schedule exclude each other: the flag's side of the two counts.
  const isBeaten = (field: string): boolean =>
    field === 'sigmas' ? isGiven('scheduler') || isGiven('steps') : field === 'scheduler' && isGiven('sigmas');
  const open = Object.entries({ ...fields, ...(model === undefined ? {} : { model }) }).filter(
    ([field]) => !isGiven(field) && !isBeaten(field),
  );
  const taken = new Set(open.map(([field]) => field));
  if (left.length > 0) warn(io, printable(`not taken over from ${from}: ${left.join(', ')}`));
  const both = {
    ...flags,
    values: { ...flags.values, ...Object.fromEntries(open) },
    nameOf: (field: string) => (taken.has(field) ? `${from}'s ${field}` : flags.nameOf(field)),
  };
  return { flags: both, picture };
}

/** @returns the exit code; throws UsageError and FailureError */
export async function runTextToImage(given: Flags, io: Io): Promise<number> {
  const { flags, picture } = await withPicture(given, io);
  const { values } = flags;
  if (values.prompt === undefined) throw new UsageError('--prompt is missing; --prompt "" is an empty one', 'prompt');
  if (values.json === true && values.output === '-') {
    throw new UsageError('--json and --output - both write to standard output: give one of them', 'output');
  }
  const output = String(values.output ?? DEFAULT_FOLDER);
  const implied = flags.origins.format === 'flag' ? undefined : await formatOfOutput(output, io.cwd);
  const format = implied ?? values.format;
  const trail = values.noTrail === true ? false : undefined;
  const request = pick({ ...values, format, trail }, Object.keys(textToImageSchema.shape));
  const commandOptions = readCommandOptions(flags, io);
  const provider = new CachedModelProvider({
    cacheFolder: cacheFolder(io.env),
    onWarning: (message) => warn(io, message),
    addon: io.addon,
  });
  const runner = new ProcessingRunner({ provider, options: new OptionStore() });
  const interrupt = new Interrupt(io);
  const settings = {
    commandOptions,
    overrideOptions: pick(values, OPTIONS),
    signal: interrupt.signal,
    naming: flags.nameOf,
    onEvent: compareModels(picture, io),
  };
  try {
    await (values.dryRun === true ? dryRun : generate)(runner, request, settings, flags, io);
    return EXIT.ok;
  } catch (error) {
    const cancelled = error instanceof FailureError && error.code === 'E_CANCELLED';
    if (!cancelled || interrupt.exitCode === undefined) throw error;
    await writeAll(io.stderr, 'interrupted: nothing was written\n');
    return interrupt.exitCode;
  } finally {
    interrupt.release();
    await provider.dispose();
  }
}
