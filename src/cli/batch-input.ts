import { open } from 'node:fs/promises';
import { basename, extname, resolve } from 'node:path';
import type { BatchLine } from '../batch/items.js';
import { knownFields } from '../batch/kinds.js';
import { type LineOptions, MAX_ITEMS, ownNames, readLine } from '../batch/lines.js';
import { readSource, SOURCE_LIMITS, type Source } from '../batch/reader.js';
import { SOURCE_FORMATS, type SourceFormat, sourceFormat } from '../batch/source-formats.js';
import { Wildcards } from '../batch/wildcards.js';
import { ioError } from '../image/atomic-write.js';
import { FailureError, UsageError } from '../request/errors.js';
import { didYouMean } from '../request/nearest.js';
import { showValue } from '../request/show-value.js';
import { badLineDocument } from './batch-report.js';
import { type Flags, pick } from './flags.js';
import { type Io, writeAll } from './io.js';

/** Bad lines that are told one by one. */
const TOLD_LINES = 20;

function formatOf(file: string, { values }: Flags): SourceFormat {
  const { inputFormat } = values;
  const known = SOURCE_FORMATS.find((one) => one === inputFormat);
  if (known !== undefined) return known;
  if (inputFormat !== undefined) {
    const hint = didYouMean(String(inputFormat), SOURCE_FORMATS);
    throw new UsageError(
      `--input-format must be ${SOURCE_FORMATS.join(', ')}; ${showValue(inputFormat)} is not${hint}`,
      'inputFormat',
    );
  }
  return file === '-' ? 'jsonl' : sourceFormat(basename(file), extname(file));
}

/** Everything up to one byte more than a batch may have: the reader then refuses it. */
async function readAtMost(file: string, io: Io): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  const take = (chunk: Buffer): boolean => {
    chunks.push(chunk);
    size += chunk.length;
    return size <= SOURCE_LIMITS.fileBytes;
  };
  if (file === '-') {
    for await (const chunk of io.stdin ?? []) if (!take(Buffer.from(chunk))) break;
    return Buffer.concat(chunks);
  }
  const path = resolve(io.cwd, file);
  try {
    const handle = await open(path, 'r');
    try {
      for await (const chunk of handle.createReadStream({ autoClose: false })) if (!take(Buffer.from(chunk))) break;
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw new UsageError(ioError(error, 'read', file).message);
  }
  return Buffer.concat(chunks);
}

/** What flags say for lines that say nothing else. */
function defaultsOf(flags: Flags): Record<string, unknown> {
  const { values } = flags;
  const trail = values.noTrail === true ? false : undefined;
  return pick({ ...values, trail }, knownFields());
}

function lineOptions(source: Source, file: string, flags: Flags, io: Io): LineOptions {
  const { values } = flags;
  const axes = { ...asObject(source.axes, file), ...pick(values, ['x', 'y', 'z']) };
  let own: Record<string, unknown>;
  try {
    own = { ...ownNames(source.defaults).fields };
  } catch (error) {
    if (error instanceof UsageError) throw new UsageError(`${file}: defaults: ${error.message}`, error.field);
    throw error;
  }
  return {
    defaults: { ...defaultsOf(flags), ...own },
    axes,
    literal: values.literal === true,
    wildcards: new Wildcards(typeof values.wildcards === 'string' ? values.wildcards : undefined, io.cwd),
    allWildcards: values.allWildcards === true,
    naming: (field) => (own[field] === undefined ? flags.nameOf(field) : `${file}: defaults: ${field}`),
  };
}

function asObject(axes: unknown, file: string): Record<string, unknown> {
  if (axes === undefined || axes === null) return {};
  if (typeof axes === 'object' && !Array.isArray(axes)) return { ...axes };
  throw new UsageError(`${file}: axes is an object with x, y or z; ${showValue(axes)} is not`);
}

async function tellBadLines(bad: readonly BadLine[], file: string, flags: Flags, io: Io): Promise<void> {
  for (const { line, error } of bad.slice(0, TOLD_LINES)) {
    await writeAll(io.stderr, `error: ${file}:${line}: ${error.message}\n`);
  }
  if (bad.length > TOLD_LINES) await writeAll(io.stderr, `error: ${bad.length - TOLD_LINES} more lines are wrong\n`);
  if (flags.values.json !== true) return;
  for (const { line, error } of bad) await writeAll(io.stdout, `${JSON.stringify(badLineDocument(line, error))}\n`);
}

interface BadLine {
  readonly line: number;
  readonly error: UsageError | FailureError;
}

/**
 * Reads the file and every line of it, and tells what is wrong in lines.
 * @returns the lines that stand for pictures, and how many do not
 * @throws UsageError for a file or flags that are unusable as a whole, and with --strict for any bad line
 */
export async function readBatch(file: string, flags: Flags, io: Io) {
  const name = file === '-' ? 'standard input' : file;
  const source = readSource(await readAtMost(file, io), formatOf(file, flags), name);
  const options = lineOptions(source, name, flags, io);
  // What is wrong in the defaults would be so in every line.
  await readLine({ line: 0, fields: { prompt: '' } }, { ...options, axes: {} }, new Map());
  const seen = new Map<string, number>();
  const lines: BatchLine[] = [];
  const bad: BadLine[] = [];
  for (const raw of source.lines) {
    try {
      lines.push(await readLine(raw, options, seen));
    } catch (error) {
      if (!(error instanceof UsageError || error instanceof FailureError)) throw error;
      bad.push({ line: raw.line, error });
    }
  }
  await tellBadLines(bad, name, flags, io);
  if (flags.values.strict === true && bad.length > 0) {
    throw new UsageError(`${bad.length} of ${source.lines.length} lines are wrong, so nothing is made (--strict)`);
  }
  const size = lines.reduce((sum, line) => sum + line.size, 0);
  if (size > MAX_ITEMS) throw new UsageError(`${name} stands for ${size} pictures; a batch has at most ${MAX_ITEMS}`);
  return { lines, badLines: bad.length };
}
