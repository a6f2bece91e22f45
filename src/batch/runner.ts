import { randomBytes, randomInt } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { VERSION } from '../context/version.js';
import { temporaryPrefix } from '../image/atomic-write.js';
import { nextNumber } from '../image/filename.js';
import type { RandomInteger } from '../pipeline/seeds.js';
import { FailureError, UsageError } from '../request/errors.js';
import type { RunEvent } from '../runtime/processing-runner.js';
import type { BatchExecutor, MadeItem } from './executor.js';
import { ItemSink, isIntact, NumberBook } from './item-sink.js';
import { type BatchItem, type BatchLine, contentHash, drawSeeds, itemAt, type LineSeeds, openSeeds } from './items.js';
import type { Journal } from './journal.js';
import { type ItemState, JOURNAL_FORMAT, type JournalFile, type JournalState } from './journal-records.js';

/** An item in its place. */
export interface BatchEntry {
  /** Place in the batch, from 0. */
  readonly number: number;
  readonly line: BatchLine;
  /** The item and its id, or why there is none: an axis found nothing to change. */
  readonly content: { readonly id: string; readonly item: BatchItem } | UsageError;
}

/** How an item ended. */
export interface ItemOutcome extends BatchEntry {
  readonly state: 'done' | 'skipped' | 'failed';
  readonly plan: string | undefined;
  readonly files: readonly JournalFile[];
  /** Of one that was made now. */
  readonly made?: MadeItem | undefined;
  readonly error?: UsageError | FailureError | undefined;
}

export interface BatchTotals {
  readonly done: number;
  readonly skipped: number;
  readonly failed: number;
}

export interface BatchRunnerParts {
  readonly executor: BatchExecutor;
  readonly journal: Journal;
  /** Where pictures go; absolute. */
  readonly folder: string;
  /** The file's name, for the journal. */
  readonly source: string;
  readonly signal: AbortSignal;
  readonly onOutcome: (outcome: ItemOutcome) => Promise<void> | void;
  readonly onEvent?: ((number: number, item: BatchItem, event: RunEvent) => void) | undefined;
  readonly random?: RandomInteger | undefined;
  readonly now?: (() => Date) | undefined;
}

/** Every item of the lines in order; equal contents get ids that count up. */
export function* itemsOf(
  lines: readonly BatchLine[],
  seedsOf: (line: BatchLine) => LineSeeds,
): Generator<BatchEntry, void, void> {
  const seen = new Map<string, number>();
  let number = 0;
  for (const line of lines) {
    const seeds = seedsOf(line);
    for (let index = 0; index < line.size; index += 1) {
      yield { number, line, content: contentAt(line, index, seeds, seen) };
      number += 1;
    }
  }
}

function contentAt(line: BatchLine, index: number, seeds: LineSeeds, seen: Map<string, number>): BatchEntry['content'] {
  try {
    const item = itemAt(line, index, seeds);
    const content = contentHash(item);
    const times = (seen.get(content) ?? 0) + 1;
    seen.set(content, times);
    return { id: times === 1 ? content : `${content}.${times}`, item };
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
}

/** The drawn seeds of a line that the journal holds, where they still fit the line. */
export function recordedSeeds(line: BatchLine, state: JournalState): LineSeeds | undefined {
  const known = state.seeds.get(line.key);
  const open = openSeeds(line);
  if (open.seeds === 0 && open.subseeds === 0) return { seeds: [], subseeds: [] };
  return known?.seeds.length === open.seeds && known.subseeds.length === open.subseeds ? known : undefined;
}

/**
 * Makes the items of a batch through an executor and keeps the journal. Every item ends done, skipped or failed; only
 * what would fail them all (a full disk, an interrupt) ends the batch.
 */
export class BatchRunner {
  readonly #parts: BatchRunnerParts;
  readonly #totals = { done: 0, skipped: 0, failed: 0 };
  #numbers = new NumberBook(1);
  #mark = '';

  constructor(parts: BatchRunnerParts) {
    this.#parts = parts;
  }

  get totals(): BatchTotals {
    return { ...this.#totals };
  }

  /**
   * @param resume goes on where the journal ends: what is complete is skipped
   * @throws FailureError for what ends the batch (E_CANCELLED when interrupted)
   */
  async run(lines: readonly BatchLine[], resume: boolean): Promise<BatchTotals> {
    const { journal, executor } = this.#parts;
    await this.#begin(lines, resume);
    const items = itemsOf(lines, (line) => recordedSeeds(line, journal.state) ?? { seeds: [], subseeds: [] });
    const stop = new AbortController();
    const work = async (): Promise<void> => {
      for (const entry of items) {
        if (stop.signal.aborted) return;
        this.#requireGoing();
        await this.#one(entry, resume);
      }
    };
    const workers = Array.from({ length: executor.concurrency }, async () => {
      try {
        await work();
      } catch (error) {
        stop.abort();
        throw error;
      }
    });
    const failed = (await Promise.allSettled(workers)).find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    await journal.append({ type: 'ended', ...this.#totals, at: this.#at() });
    return this.totals;
  }

  /** The journal's header, the seeds of all lines, and the folder without what a killed run left. */
  async #begin(lines: readonly BatchLine[], resume: boolean): Promise<void> {
    const { journal, folder, source, random = randomInt } = this.#parts;
    const { state } = journal;
    if (resume && state.id !== undefined) {
      await removeTemporaries(folder, state.id);
      await journal.append({ type: 'resumed', version: VERSION, at: this.#at() });
    } else {
      const id = randomBytes(6).toString('hex');
      await journal.append({ type: 'batch', format: JOURNAL_FORMAT, id, version: VERSION, source, at: this.#at() });
    }
    this.#mark = state.id ?? '';
    const drawn = lines
      .filter((line) => recordedSeeds(line, state) === undefined)
      .map((line) => ({ type: 'seeds', line: line.key, ...drawSeeds(line, random) }) as const);
    if (drawn.length > 0) await journal.append(...drawn);
    const claimed = [...state.items.values()].flatMap(({ names }) =>
      names.map((name) => Number.parseInt(name, 10) || 0),
    );
    const highest = claimed.reduce((most, number) => Math.max(most, number), 0);
    this.#numbers = new NumberBook(Math.max(await nextNumber(folder), highest + 1));
  }

  async #one(entry: BatchEntry, resume: boolean): Promise<void> {
    const { journal, onOutcome } = this.#parts;
    const { content } = entry;
    if (content instanceof UsageError) {
      this.#totals.failed += 1;
      await onOutcome({ ...entry, state: 'failed', plan: undefined, files: [], error: content });
      return;
    }
    const attempt: Attempt = { ...content, number: entry.number, known: journal.state.items.get(content.id) };
    try {
      if (resume && attempt.known !== undefined && (await this.#isComplete(attempt, attempt.known))) {
        this.#totals.skipped += 1;
        const { plan, files } = attempt.known;
        await onOutcome({ ...entry, state: 'skipped', plan, files });
        return;
      }
      const { made, files } = await this.#make(attempt);
      const { sha256: plan, notes } = made.plan;
      const told = notes.length === 0 ? {} : { notes };
      await journal.append({ type: 'done', item: attempt.id, plan, files, ...told, at: this.#at() });
      this.#totals.done += 1;
      await onOutcome({ ...entry, state: 'done', plan, files, made });
    } catch (error) {
      if (!this.#isOfItem(error, attempt)) throw error;
      const code = error instanceof FailureError ? error.code : 'E_USAGE';
      await journal.append({ type: 'failed', item: attempt.id, code, message: error.message, at: this.#at() });
      this.#totals.failed += 1;
      await onOutcome({ ...entry, state: 'failed', plan: attempt.plan, files: [], error });
    }
  }

  /** Not so: an interrupt, a folder or a journal that cannot be written, a defect. They end the batch. */
  #isOfItem(error: unknown, attempt: Attempt): error is UsageError | FailureError {
    if (this.#parts.signal.aborted || error === attempt.stop) return false;
    return error instanceof UsageError || error instanceof FailureError;
  }

  /** Whether an item's files are there, as its plan of today makes them. Writes down what a killed run could not. */
  async #isComplete({ id, item }: Attempt, known: ItemState): Promise<boolean> {
    const { executor, folder, signal, journal } = this.#parts;
    if (known.files.length === 0) return false;
    const intact = await Promise.all(known.files.map((file) => isIntact(folder, file)));
    if (intact.includes(false)) return false;
    const plan = await executor.plan(item, signal);
    if (plan.sha256 !== known.plan) return false;
    if (known.state !== 'done') {
      await journal.append({ type: 'done', item: id, plan: plan.sha256, files: known.files, at: this.#at() });
    }
    return true;
  }

  async #make(attempt: Attempt): Promise<{ made: MadeItem; files: readonly JournalFile[] }> {
    const { executor, signal, onEvent } = this.#parts;
    const sink = this.#sinkOf(attempt);
    const guard = async <T>(work: Promise<T>): Promise<T> => {
      try {
        return await work;
      } catch (error) {
        attempt.stop = error;
        throw error;
      }
    };
    const made = await executor.make(attempt.item, {
      sink: {
        check: (run) => guard(sink.check(run)),
        save: (pictures) => guard(sink.save(pictures)),
      },
      signal,
      onPlan: (plan) => {
        attempt.plan = plan.sha256;
      },
      onEvent: (event) => onEvent?.(attempt.number, attempt.item, event),
    });
    return { made, files: sink.files };
  }

  #sinkOf(attempt: Attempt): ItemSink {
    const { journal, folder } = this.#parts;
    const { id, item, known } = attempt;
    const { kind, request, options, model, origin } = item;
    const planOf = (): string => {
      if (attempt.plan === undefined) throw new Error('an executor gave pictures without a plan');
      return attempt.plan;
    };
    const content = { item: id, kind: kind.name, request, options, model, origin: { ...origin } };
    return new ItemSink({
      folder,
      numbers: this.#numbers,
      names: known?.names ?? [],
      mark: this.#mark,
      onStart: (names) => journal.append({ type: 'started', plan: planOf(), ...content, names, at: this.#at() }),
      onSaving: (files) => journal.append({ type: 'saving', item: id, plan: planOf(), files, at: this.#at() }),
    });
  }

  #requireGoing(): void {
    if (this.#parts.signal.aborted) throw new FailureError('E_CANCELLED', 'the batch was interrupted');
  }

  #at(): string {
    return (this.#parts.now?.() ?? new Date()).toISOString();
  }
}

/** An item under way. */
interface Attempt {
  readonly id: string;
  readonly item: BatchItem;
  readonly number: number;
  readonly known: ItemState | undefined;
  plan?: string;
  /** What went wrong with the folder or the journal: the next item would fare no better. */
  stop?: unknown;
}

/** What a killed run of the same batch left half-written. */
async function removeTemporaries(folder: string, id: string): Promise<void> {
  const names = await readdir(folder).catch(() => []); // no folder, nothing in it
  const left = names.filter((name) => name.startsWith(temporaryPrefix(id)) && name.endsWith('.tmp'));
  for (const name of left) await rm(join(folder, name), { force: true });
}
