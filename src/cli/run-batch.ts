import { extname, join, resolve } from 'node:path';
import { type BatchExecutor, LocalExecutor } from '../batch/executor.js';
import { isIntact } from '../batch/item-sink.js';
import { type BatchLine, drawSeeds } from '../batch/items.js';
import { Journal } from '../batch/journal.js';
import { type BatchEntry, BatchRunner, type ItemOutcome, itemsOf, recordedSeeds } from '../batch/runner.js';
import { Sheets } from '../batch/sheets.js';
import { cacheFolder } from '../checkpoints/hash.js';
import { OptionStore } from '../context/options.js';
import type { ExtensionRegistry } from '../extensions/registry.js';
import { formatOfExtension } from '../image/formats.js';
import { FailureError, UsageError } from '../request/errors.js';
import { CachedModelProvider } from '../runtime/model-provider.js';
import { ProcessingRunner } from '../runtime/processing-runner.js';
import { readBatch } from './batch-input.js';
import { type BatchProgress, createBatchProgress } from './batch-progress.js';
import {
  type DryItem,
  dryDocument,
  dryLine,
  drySummary,
  outcomeDocument,
  resumeCommand,
  totalsText,
} from './batch-report.js';
import { readExtensions } from './extensions.js';
import { EXIT, tellSearch, warn } from './failure.js';
import type { Flags } from './flags.js';
import { Interrupt } from './interrupt.js';
import { type Io, writeAll } from './io.js';
import { DEFAULT_FOLDER } from './options.js';
import { printable } from './run-info.js';
import { readCommandOptions } from './settings.js';

/** What of a batch fails beside its items. */
interface Batch {
  readonly file: string;
  readonly flags: Flags;
  readonly io: Io;
  readonly lines: readonly BatchLine[];
  /** Lines that stand for nothing. */
  readonly badLines: number;
  /** As it was given, and as a whole path. */
  readonly output: string;
  readonly folder: string;
  readonly journal: string;
  /** Notes that were printed. */
  readonly told: Set<string>;
}

const json = (value: unknown): string => `${JSON.stringify(value)}\n`;
const itemCount = (lines: readonly BatchLine[]): number => lines.reduce((sum, { size }) => sum + size, 0);

/** Where lines of messages point. */
const placeOf = (file: string, line: number): string => `${file === '-' ? 'standard input' : file}:${line}`;

async function readPlaces({ values }: Flags, io: Io) {
  const output = String(values.output ?? DEFAULT_FOLDER);
  if (output === '' || output === '-' || formatOfExtension(extname(output)) !== undefined) {
    throw new UsageError(
      `--output of a batch is a folder; ${output === '' ? 'it is empty' : `${output} is none`}`,
      'output',
    );
  }
  const folder = resolve(io.cwd, output);
  const journal = typeof values.journal === 'string' ? values.journal : join(output, 'batch.journal.jsonl');
  return { output, folder, journal };
}

/** What a line's pictures have that is left out, once a line however many items it stands for. */
async function tellNotes({ io, file, told }: Batch, line: number, notes: readonly string[] = []): Promise<void> {
  for (const note of notes) {
    const text = printable(`warning: ${placeOf(file, line)}: ${note}`);
    if (told.has(text)) continue;
    told.add(text);
    await writeAll(io.stderr, `${text}\n`);
  }
}

/** Prints how an item ended: its files, or on stderr what went wrong. */
async function tell(batch: Batch, outcome: ItemOutcome, progress: BatchProgress | undefined): Promise<void> {
  const { io, flags, output, file } = batch;
  const { line, state, error, files } = outcome;
  progress?.ended(outcome.number, line.workload, state === 'done');
  if (error !== undefined || flags.values.json === true || state === 'done') progress?.pause();
  await tellNotes(batch, line.line, outcome.made?.plan.notes);
  if (error !== undefined) await writeAll(io.stderr, `error: ${placeOf(file, line.line)}: ${error.message}\n`);
  if (flags.values.json === true) await writeAll(io.stdout, json(outcomeDocument(outcome, output)));
  else if (state === 'done') await writeAll(io.stdout, files.map(({ name }) => `${join(output, name)}\n`).join(''));
}

/** Refuses to begin anew over a batch that did not come to its end. */
function requireBeginning(journal: Journal, resume: boolean, batch: Batch): void {
  if (resume || journal.state.id === undefined || journal.state.ended) return;
  throw new FailureError(
    'E_EXISTS',
    `${batch.journal} is of a batch that did not come to its end: --resume goes on with it; ` +
      'another --output, or --journal, begins a new one',
  );
}

/** Writes the contact sheets of declared axes; one that is too large is told and left out. */
async function writeSheets(batch: Batch, sheets: Sheets, journal: Journal): Promise<void> {
  const { io, flags, folder, output } = batch;
  try {
    for (const name of await sheets.write(folder, journal, () => new Date().toISOString())) {
      const path = join(output, name);
      await writeAll(io.stdout, flags.values.json === true ? json({ sheet: path }) : `${path}\n`);
    }
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    warn(io, `no contact sheet: ${error.message}`);
  }
}

async function make(batch: Batch, executor: BatchExecutor, interrupt: Interrupt): Promise<number> {
  const { io, flags, lines, folder } = batch;
  const { values } = flags;
  const resume = values.resume === true;
  const journal = await Journal.open(resolve(io.cwd, batch.journal));
  const works = lines.map(({ size, workload }) => ({ items: size, work: workload }));
  const progress = values.quiet === true ? undefined : createBatchProgress(io, works);
  const sheets = new Sheets();
  const runner = new BatchRunner({
    executor,
    journal,
    folder,
    source: batch.file,
    signal: interrupt.signal,
    onOutcome: async (outcome) => {
      if (!(outcome.content instanceof UsageError)) sheets.add(outcome.content.item, outcome.files[0]?.name);
      await tell(batch, outcome, progress);
    },
    onEvent: (number, item, event) => progress?.onEvent(number, item.line.workload, event),
  });
  try {
    requireBeginning(journal, resume, batch);
    const totals = await runner.run(lines, resume);
    progress?.pause();
    if (values.noSheet !== true) await writeSheets(batch, sheets, journal);
    await writeAll(io.stderr, `${totalsText(totals, itemCount(lines))}\n`);
    return totals.failed + batch.badLines > 0 ? EXIT.failure : EXIT.ok;
  } catch (error) {
    progress?.pause();
    const { done, skipped } = runner.totals;
    const state = `${done + skipped} of ${itemCount(lines)} items are done; resume with: ${resumeCommand(batch.file, flags)}`;
    if (interrupt.exitCode !== undefined && interrupt.signal.aborted) {
      await writeAll(io.stderr, `interrupted: ${state}\n`);
      return interrupt.exitCode;
    }
    if (!(error instanceof FailureError) || ['E_EXISTS', 'E_BUSY', 'E_JOURNAL'].includes(error.code)) throw error;
    throw new FailureError(error.code, `${error.message}; ${state}`, { cause: error });
  } finally {
    progress?.pause();
    await journal.close();
  }
}

async function dryItem(
  entry: BatchEntry,
  batch: Batch,
  executor: BatchExecutor,
  known: DryKnowledge,
): Promise<DryItem> {
  const { content, line } = entry;
  const settled = recordedSeeds(line, known.state) !== undefined;
  if (content instanceof UsageError) return { entry, plan: undefined, complete: false, settled, error: content };
  try {
    const plan = await executor.plan(content.item, known.signal);
    const before = known.state.items.get(content.id);
    const files = before?.plan === plan.sha256 ? before.files : [];
    const intact = await Promise.all(files.map((file) => isIntact(batch.folder, file)));
    return { entry, plan, complete: files.length > 0 && !intact.includes(false), settled, error: undefined };
  } catch (error) {
    if (!(error instanceof UsageError || error instanceof FailureError) || known.signal.aborted) throw error;
    return { entry, plan: undefined, complete: false, settled, error };
  }
}

interface DryKnowledge {
  readonly state: Journal['state'];
  readonly signal: AbortSignal;
}

async function dryRun(batch: Batch, executor: BatchExecutor, interrupt: Interrupt): Promise<number> {
  const { io, flags, lines, file } = batch;
  const state = await Journal.peek(resolve(io.cwd, batch.journal));
  const random = (): number => 0; // any seed will do: what depends on it is not told
  const known = { state, signal: interrupt.signal };
  const items: Pick<DryItem, 'plan' | 'complete'>[] = [];
  let failed = batch.badLines;
  for (const entry of itemsOf(lines, (line) => recordedSeeds(line, state) ?? drawSeeds(line, random))) {
    const item = await dryItem(entry, batch, executor, known);
    items.push({ plan: item.plan, complete: item.complete });
    await tellNotes(batch, entry.line.line, item.plan?.notes);
    if (flags.values.json === true) await writeAll(io.stdout, json(dryDocument(item)));
    else if (item.error === undefined) await writeAll(io.stdout, dryLine(item));
    if (item.error === undefined) continue;
    failed += 1;
    await writeAll(io.stderr, `error: ${placeOf(file, entry.line.line)}: ${item.error.message}\n`);
  }
  if (flags.values.json !== true) await writeAll(io.stdout, drySummary(items));
  return failed > 0 ? EXIT.failure : EXIT.ok;
}

/** The fleet that computes, and how many items it is given at once; undefined where this process computes. */
async function fleetOf({ flags, io, lines }: Batch, extensions: ExtensionRegistry) {
  const { queue, queueCa, store, audit, dryRun } = flags.values;
  const isAsked = [queue, queueCa, store, audit].some((value) => value !== undefined);
  if (!isAsked || dryRun === true) return undefined;
  // Only who asks for a fleet loads the queue's client.
  const { useFleet, windowOf } = await import('./use-fleet.js');
  const fleet = await useFleet(flags, io, extensions, false);
  const largest = lines.reduce((most, { workload }) => Math.max(most, workload.pixels), 0);
  return fleet && { ...fleet, window: windowOf(largest, fleet.client.storeId !== null) };
}

/** @returns the exit code; throws UsageError and FailureError */
export async function runBatch(file: string, flags: Flags, io: Io): Promise<number> {
  const extensions = await readExtensions('batch', flags, io);
  const places = await readPlaces(flags, io);
  const { lines, badLines } = await readBatch(file, flags, io);
  const batch: Batch = { file, flags, io, lines, badLines, ...places, told: new Set() };
  const provider = new CachedModelProvider({
    cacheFolder: cacheFolder(io.env),
    onWarning: (message) => warn(io, message),
    onSearch: flags.values.quiet === true ? undefined : (path) => tellSearch(path, io),
    addon: io.addon,
  });
  const fleet = await fleetOf(batch, extensions);
  const runner = new ProcessingRunner({ provider, options: new OptionStore(), extensions, remote: fleet?.remote });
  const interrupt = new Interrupt(io);
  try {
    const executor = new LocalExecutor(runner, readCommandOptions(flags, io), fleet?.window);
    return await (flags.values.dryRun === true ? dryRun : make)(batch, executor, interrupt);
  } catch (error) {
    if (interrupt.exitCode === undefined || !interrupt.signal.aborted) throw error;
    await writeAll(io.stderr, 'interrupted\n');
    return interrupt.exitCode;
  } finally {
    interrupt.release();
    await fleet?.close();
    await provider.dispose();
  }
}
