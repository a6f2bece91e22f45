import { resolve } from 'node:path';
import { cacheFolder } from '../checkpoints/hash.js';
import { OptionStore } from '../context/options.js';
import { type ImageInfo, readImageInfo } from '../image/codec.js';
import { decodeRecord, type FileRecord } from '../pipeline/picture-record.js';
import { FailureError, UsageError } from '../request/errors.js';
import { CachedModelProvider } from '../runtime/model-provider.js';
import { type PictureParameters, pictureParameters } from '../runtime/picture-parameters.js';
import { ProcessingRunner, type RunEvent, type RunSettings } from '../runtime/processing-runner.js';
import { type Replay, type Verdict, type Verification, verifyPixels, verifyRecord } from '../runtime/verify.js';
import { readRun } from './asked-run.js';
import { EXIT, messageOf, tellSearch, warn } from './failure.js';
import type { Flags } from './flags.js';
import { inputFiles, inputsOfPlan } from './input-pictures.js';
import { Interrupt } from './interrupt.js';
import { type Io, writeAll } from './io.js';
import { flagsBesidePlan } from './plan-file.js';
import { createProgress, type Progress } from './progress.js';
import { printable, readImage } from './run-info.js';
import { readCommandOptions } from './settings.js';

/** Everything that the pictures of one command share: the model above all. */
interface Session {
  readonly flags: Flags;
  readonly io: Io;
  readonly provider: CachedModelProvider;
  readonly runner: ProcessingRunner;
  readonly signal: AbortSignal;
  /** A bar for one run; undefined where none is to be shown. */
  readonly openProgress: () => Progress | undefined;
}

/** What is said of one picture. */
interface Report {
  readonly file: string;
  /** What it was made again from. */
  readonly basis: 'record' | 'parameters' | null;
  readonly verdict: Verdict['kind'] | 'failed';
  /** Of a trail that parts: the first step that differs, and how many there are; the pass where there are several. */
  readonly step?: number;
  readonly steps?: number;
  readonly pass?: number;
  /** Mean difference of the file's pixels from those made, in levels of 255. */
  readonly difference?: number | null;
  readonly device: string | null;
  readonly planSha256: string | null;
  readonly reasons: readonly string[];
}

async function replay(input: unknown, settings: Omit<RunSettings, 'signal'>, session: Session): Promise<Replay> {
  const { runner, signal } = session;
  const progress = session.openProgress();
  const onEvent = (event: RunEvent): void => {
    settings.onEvent?.(event);
    progress?.onEvent(event);
  };
  try {
    const { prepared, images } = await runner.run(input, { ...settings, signal, onEvent });
    const [image] = images;
    if (image === undefined) throw new FailureError('E_INTERNAL', 'the run gave no picture');
    return { prepared, image };
  } finally {
    progress?.stop();
  }
}

/** Only what verify's own flags say counts: a picture has its plan. */
async function replayRecord(record: FileRecord, file: string, session: Session): Promise<Replay> {
  const { io } = session;
  const flags = flagsBesidePlan(session.flags);
  const commandOptions = readCommandOptions(flags, io);
  const { model } = record.plan;
  return replay(
    { plan: record.plan, otherModel: true, trail: true, ...(await inputsOfPlan(record.plan, flags, io)) },
    {
      commandOptions,
      onEvent: (event) => {
        if (event.type !== 'prepared' || event.prepared.plan.model.sha256 === model.sha256) return;
        const { name, sha256 } = event.prepared.plan.model;
        const theirs = `${model.name} (${model.sha256.slice(0, 10)})`;
        warn(io, printable(`${file} was made with ${theirs}, not with ${name} (${sha256.slice(0, 10)})`));
      },
    },
    session,
  );
}

/** As `txt2img --from`; the model and the VAE by their hashes, where the picture tells them, else by their names. */
async function replayParameters(parameters: PictureParameters, file: string, session: Session): Promise<Replay> {
  const { io, provider, signal } = session;
  const flags = flagsBesidePlan(session.flags);
  const { modelsDirs } = readCommandOptions(flags, io);
  const pathOf = async (field: 'model' | 'vae', key: string): Promise<Record<string, string>> => {
    const sha256 = parameters.parameters.get(`${key} hash`)?.toLowerCase() ?? '';
    if (flags.values[field] !== undefined || !/^[0-9a-f]{10,64}$/.test(sha256)) return {};
    const wanted = { sha256, name: parameters.parameters.get(key) ?? '' };
    const path = await provider.locate(wanted, modelsDirs, signal);
    return path === undefined ? {} : { [field]: path };
  };
  const located = { ...(await pathOf('model', 'Model')), ...(await pathOf('vae', 'VAE')) };
  const values = { ...flags.values, from: file, ...located };
  const origins = {
    ...flags.origins,
    ...Object.fromEntries(Object.keys(located).map((field) => [field, 'flag' as const])),
  };
  const files = inputFiles(flags);
  const isFromPicture = parameters.parameters.has('Denoising strength') && !parameters.parameters.has('Hires upscaler');
  if (isFromPicture && files.length === 0) {
    throw new UsageError('it began with a picture: give that with --input', 'input');
  }
  const images = isFromPicture ? files : undefined;
  const { input, settings } = await readRun({ ...flags, values, origins }, io, undefined, images);
  return replay(input, settings, session);
}

function reportOf(
  file: string,
  basis: Report['basis'],
  { verdict, reasons }: Verification,
  { prepared }: Replay,
): Report {
  const { plan, planSha256, context } = prepared;
  return {
    file,
    basis,
    verdict: verdict.kind,
    ...(verdict.kind === 'trail' ? { step: verdict.step, steps: verdict.steps, pass: verdict.pass + 1 } : {}),
    ...(verdict.kind === 'pixels' || verdict.kind === 'unproven' ? { difference: verdict.difference } : {}),
    device: `${plan.device.name} ${plan.device.precision} ${context.device.isa}`,
    planSha256,
    reasons,
  };
}

function recordOf(info: ImageInfo, file: string, io: Io): FileRecord | undefined {
  if (info.record !== undefined) return decodeRecord(info.record);
  warn(io, printable(`${file} carries no record of how it was made: it is made again from its parameters text`));
  return undefined;
}

async function verifyOne(file: string, session: Session): Promise<Report> {
  const bytes = await readImage(resolve(session.io.cwd, file));
  const info = await readImageInfo(bytes);
  const parameters = pictureParameters(info);
  if (info.record === undefined && parameters === undefined) {
    throw new FailureError('E_IMAGE_FORMAT', 'it carries neither a record nor parameters to make it again from');
  }
  const record = recordOf(info, file, session.io);
  const picture = { bytes, format: info.format, width: info.width, height: info.height };
  if (record !== undefined) {
    const made = await replayRecord(record, file, session);
    return reportOf(file, 'record', await verifyRecord(record, picture, made), made);
  }
  const made = await replayParameters(parameters as PictureParameters, file, session);
  return reportOf(file, 'parameters', await verifyPixels(picture, made), made);
}

function sentence(report: Report): string {
  const { verdict, basis, step = 0, steps = 0, pass = 1, difference, device } = report;
  const off = difference === null ? 'another size' : `${difference?.toFixed(3)} of 255 levels on average`;
  const passes = pass > 1 ? ` of pass ${pass}` : '';
  switch (verdict) {
    case 'identical':
      return basis === 'record'
        ? `identical: every latent and every pixel (${device})`
        : `identical: every pixel, from its parameters text (${device})`;
    case 'trail':
      return `differs: the latent leaves the recorded one ${step === 0 ? 'at the start' : `at step ${step} of ${steps}`}${passes}`;
    case 'decoder':
      return 'differs: the same latents, other pixels';
    case 'pixels':
      return basis === 'record' ? `differs: its pixels are not those that were made (${off})` : `differs (${off})`;
    case 'unproven':
      return `cannot be proved (${off})`;
    case 'failed':
      return 'cannot be made again';
  }
}

function formatReport(report: Report): string {
  const [first, ...more] = report.reasons;
  const why = first === undefined ? '' : `: ${first}`;
  return printable([`${report.file}: ${sentence(report)}${why}`, ...more.map((reason) => `  ${reason}`)].join('\n'));
}

async function verifyAll(images: readonly string[], session: Session): Promise<Report[]> {
  const { io, flags, signal } = session;
  const reports: Report[] = [];
  for (const file of images) {
    let report: Report;
    try {
      report = await verifyOne(file, session);
    } catch (error) {
      const isExpected = error instanceof FailureError || error instanceof UsageError;
      if (!isExpected || signal.aborted) throw error;
      const none = { basis: null, device: null, planSha256: null };
      report = { file, ...none, verdict: 'failed', reasons: [messageOf(error)] };
    }
    reports.push(report);
    if (flags.values.json !== true) await writeAll(io.stdout, `${formatReport(report)}\n`);
  }
  return reports;
}

/** @returns the exit code: 0 where all are identical; throws UsageError and FailureError */
export async function runVerify(images: readonly string[], flags: Flags, io: Io): Promise<number> {
  const quiet = flags.values.quiet === true;
  const provider = new CachedModelProvider({
    cacheFolder: cacheFolder(io.env),
    onWarning: (message) => warn(io, message),
    onSearch: quiet ? undefined : (path) => tellSearch(path, io),
    addon: io.addon,
  });
  const interrupt = new Interrupt(io);
  // Without a terminal each picture's own line tells how far it is.
  const openProgress = () => (quiet || io.stderr.isTTY !== true ? undefined : createProgress(io));
  const runner = new ProcessingRunner({ provider, options: new OptionStore() });
  try {
    const reports = await verifyAll(images, { flags, io, provider, runner, signal: interrupt.signal, openProgress });
    const identical = reports.every(({ verdict }) => verdict === 'identical');
    if (flags.values.json === true) {
      await writeAll(io.stdout, `${JSON.stringify({ identical, images: reports }, null, 2)}\n`);
    }
    return identical ? EXIT.ok : EXIT.failure;
  } catch (error) {
    if (interrupt.exitCode === undefined) throw error;
    return interrupt.exitCode;
  } finally {
    interrupt.release();
    await provider.dispose();
  }
}
