import { cacheFolder } from '../checkpoints/hash.js';
import { OptionStore } from '../context/options.js';
import { loadAddon } from '../native/load.js';
import { FailureError, UsageError } from '../request/errors.js';
import type { GenerationResult } from '../runtime/finalize.js';
import { CachedModelProvider } from '../runtime/model-provider.js';
import { ProcessingRunner, type RunEvent, type RunSettings } from '../runtime/processing-runner.js';
import { readRun, requireForm } from './asked-run.js';
import { openSink } from './destination.js';
import { readExtensions } from './extensions.js';
import { EXIT, tellSearch, warn } from './failure.js';
import type { Flags } from './flags.js';
import { Interrupt } from './interrupt.js';
import { type Io, writeAll } from './io.js';
import { DEFAULT_FOLDER } from './options.js';
import { createProgress } from './progress.js';
import { dryRunDocument, formatDryRun, formatProfile, type Probe, runDocument } from './report.js';
import { openScreen, type Screen, showPixels } from './show.js';

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

/** Measures the processor through the engine. */
function probeOf(io: Io): Probe {
  return async (options) => (await (io.addon ?? loadAddon)()).probePeak(options).promise;
}

async function dryRun(
  runner: ProcessingRunner,
  request: unknown,
  settings: RunSettings,
  flags: Flags,
  io: Io,
  probe?: Probe,
) {
  const prepared = await runner.prepare(request, settings);
  const document = await dryRunDocument(prepared, await runner.room(prepared), probe);
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
      warn(io, `picture ${index + 1}: the VAE's result in ${precision} was not finite; it was made again in fp32`);
    }
    await printResult(result, screen, flags, io);
  } finally {
    progress?.stop();
  }
}

/** @returns the exit code; throws UsageError and FailureError */
export function runTextToImage(flags: Flags, io: Io): Promise<number> {
  return run('txt2img', flags, io, flags.values.dryRun === true ? dryRun : generate);
}

/** `sdgen img2img`. @returns the exit code; throws UsageError and FailureError */
export function runImageToImage(images: readonly string[], flags: Flags, io: Io): Promise<number> {
  return run('img2img', flags, io, flags.values.dryRun === true ? dryRun : generate, images);
}

/**
 * `sdgen plan`: as `txt2img --dry-run`, or with pictures as `img2img --dry-run`, and how long it takes.
 * @returns the exit code; throws UsageError and FailureError
 */
export async function runPlan(images: readonly string[], flags: Flags, io: Io): Promise<number> {
  requireForm(flags, images.length > 0);
  const pictures = images.length === 0 ? undefined : images;
  return run('plan', flags, io, (...context) => dryRun(...context, probeOf(io)), pictures);
}

type Action = (
  runner: ProcessingRunner,
  request: unknown,
  settings: RunSettings,
  flags: Flags,
  io: Io,
) => Promise<void>;

async function run(name: string, given: Flags, io: Io, action: Action, images?: readonly string[]): Promise<number> {
  const extensions = await readExtensions(name, given, io);
  const { flags, input, settings: asked } = await readRun(given, io, extensions, images);
  const { values } = flags;
  if (values.json === true && values.output === '-') {
    throw new UsageError('--json and --output - both write to standard output: give one of them', 'output');
  }
  const provider = new CachedModelProvider({
    cacheFolder: cacheFolder(io.env),
    onWarning: (message) => warn(io, message),
    onSearch: values.quiet === true ? undefined : (path) => tellSearch(path, io),
    addon: io.addon,
  });
  const runner = new ProcessingRunner({ provider, options: new OptionStore(), extensions });
  const interrupt = new Interrupt(io);
  const onEvent = (event: RunEvent): void => {
    asked.onEvent(event);
    if (event.type === 'prepared') for (const note of event.prepared.notes ?? []) warn(io, note);
  };
  const settings = { ...asked, onEvent, signal: interrupt.signal };
  try {
    await action(runner, input, settings, flags, io);
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
