import { z } from 'zod';

export const JOURNAL_FORMAT = 'sdgen-batch-1';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const seeds = z.array(z.number().int().min(0).max(Number.MAX_SAFE_INTEGER)).readonly();
/** A file of the batch's own folder: never a path, since what a journal names is read and, if unfinished, written. */
const fileName = z
  .string()
  .min(1)
  .max(255)
  .refine((name) => !/[/\\\0]/.test(name) && name !== '.' && name !== '..', { error: 'not a file name' });
const at = z.string();
const fields = z.record(z.string(), z.unknown()).readonly();

const fileSchema = z.strictObject({ name: fileName, sha256, seed: z.number().int() });

/** Content hash, and ".2" for the second item of the same content. */
const itemId = z.string().regex(/^[0-9a-f]{64}(\.\d+)?$/);

/** One line of a journal. */
export const recordSchema = z.discriminatedUnion('type', [
  /** A batch begins: what came before it counts no more. */
  z.strictObject({
    type: z.literal('batch'),
    format: z.literal(JOURNAL_FORMAT),
    id: z.string().regex(/^[0-9a-f]{12}$/),
    version: z.string(),
    source: z.string(),
    at,
  }),
  /** It goes on. */
  z.strictObject({ type: z.literal('resumed'), version: z.string(), at }),
  /** What was drawn for a line. */
  z.strictObject({ type: z.literal('seeds'), line: itemId, seeds, subseeds: seeds }),
  /** An item is begun: everything that it takes to make it again, and the names that its files shall have. */
  z.strictObject({
    type: z.literal('started'),
    item: itemId,
    plan: sha256,
    kind: z.string(),
    request: fields,
    options: fields,
    model: fields,
    origin: fields,
    names: z.array(fileName).readonly(),
    at,
  }),
  /** Its pictures are made and about to be written. */
  z.strictObject({ type: z.literal('saving'), item: itemId, plan: sha256, files: z.array(fileSchema).readonly(), at }),
  z.strictObject({
    type: z.literal('done'),
    item: itemId,
    plan: sha256,
    files: z.array(fileSchema).readonly(),
    /** Lines for people, where there were any. */
    notes: z.array(z.string()).readonly().optional(),
    at,
  }),
  z.strictObject({ type: z.literal('failed'), item: itemId, code: z.string(), message: z.string(), at }),
  /** A sheet of the batch's pictures is written. */
  z.strictObject({
    type: z.literal('sheet'),
    number: z.number().int(),
    file: z.strictObject({ name: fileName, sha256 }),
    at,
  }),
  /** The last item was tried. */
  z.strictObject({
    type: z.literal('ended'),
    done: z.number().int(),
    skipped: z.number().int(),
    failed: z.number().int(),
    at,
  }),
]);

export type JournalRecord = z.output<typeof recordSchema>;
export type JournalFile = z.output<typeof fileSchema>;

/** What a batch's records say of one item. */
export interface ItemState {
  readonly state: 'started' | 'saving' | 'done' | 'failed';
  readonly plan: string | undefined;
  readonly names: readonly string[];
  readonly files: readonly JournalFile[];
}

/** The sum of a journal's records. */
export class JournalState {
  /** Of the last batch; undefined in an empty journal. */
  id: string | undefined;
  /** Whether its last item was tried. */
  ended = false;
  readonly items = new Map<string, ItemState>();
  readonly seeds = new Map<string, { readonly seeds: readonly number[]; readonly subseeds: readonly number[] }>();
  readonly sheets = new Map<number, { readonly name: string; readonly sha256: string }>();

  add(record: JournalRecord): void {
    if (record.type === 'batch') this.#begin(record.id);
    else if (record.type === 'resumed') this.ended = false;
    else if (record.type === 'ended') this.ended = true;
    else if (record.type === 'seeds') this.seeds.set(record.line, record);
    else if (record.type === 'sheet') this.sheets.set(record.number, record.file);
    else this.items.set(record.item, this.#next(record));
  }

  #begin(id: string): void {
    this.id = id;
    this.ended = false;
    this.items.clear();
    this.seeds.clear();
    this.sheets.clear();
  }

  #next(record: Extract<JournalRecord, { item: string }>): ItemState {
    const before = this.items.get(record.item);
    const { type: state } = record;
    if (state === 'started') return { state, plan: record.plan, names: record.names, files: [] };
    if (state === 'failed') {
      return { state, plan: before?.plan, names: before?.names ?? [], files: before?.files ?? [] };
    }
    return { state, plan: record.plan, names: record.files.map(({ name }) => name), files: record.files };
  }
}
