import { parse as parseCsv } from 'csv-parse/sync';
import { Lexer, LineCounter, parseDocument } from 'yaml';
import { FailureError, UsageError } from '../request/errors.js';
import { didYouMean } from '../request/nearest.js';
import { showValue } from '../request/show-value.js';
import type { Fields } from './field-values.js';
import type { SourceFormat } from './source-formats.js';
import { decodeText } from './wildcards.js';

/** What a file may hold, in characters where nothing else is said. */
export const SOURCE_LIMITS = {
  fileBytes: 64 * 1024 * 1024,
  /** YAML takes a hundred times as long to parse as JSON. */
  yamlBytes: 1024 * 1024,
  lineCharacters: 4 * 1024 * 1024,
  lines: 100_000,
  /** YAML's references to what was said before, counted with what they bring. */
  aliases: 100,
  /** Of YAML's brackets, and of its indentation. */
  depth: 32,
  columns: 200,
} as const;

/** One request as the file has it, or what is wrong with its line. */
export interface RawLine {
  /** From 1. */
  readonly line: number;
  readonly fields?: Fields;
  readonly error?: UsageError;
}

export interface Source {
  readonly lines: readonly RawLine[];
  /** What the file says for all its lines (YAML alone). */
  readonly defaults: Fields;
  readonly axes: unknown;
}

/**
 * The lines of a batch's file. A line that is wrong in itself is given as such and stops nothing.
 * @param name for messages
 * @throws FailureError for bytes that are no text; UsageError for a file that is unusable as a whole
 */
export function readSource(bytes: Uint8Array, format: SourceFormat, name: string): Source {
  const limit = format === 'yaml' ? SOURCE_LIMITS.yamlBytes : SOURCE_LIMITS.fileBytes;
  if (bytes.length > limit) {
    const hint = format === 'yaml' ? ': write more as JSONL' : '';
    throw new UsageError(`${name} has ${bytes.length} bytes; ${format.toUpperCase()} has at most ${limit}${hint}`);
  }
  let text: string;
  try {
    text = decodeText(bytes, name);
  } catch (error) {
    throw error instanceof FailureError ? new UsageError(error.message) : error;
  }
  const source = READERS[format](text, name);
  if (source.lines.length === 0) throw new UsageError(`${name} has no request`);
  if (source.lines.length > SOURCE_LIMITS.lines) {
    throw new UsageError(`${name} has ${source.lines.length} requests; a batch has at most ${SOURCE_LIMITS.lines}`);
  }
  return source;
}

const READERS: Readonly<Record<SourceFormat, (text: string, name: string) => Source>> = {
  jsonl: readJsonLines,
  csv: readCsvRows,
  yaml: readYaml,
};

function asFields(line: number, value: unknown): RawLine {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { line, fields: value as Fields };
  return { line, error: new UsageError(`a request is an object of named fields, not ${showValue(value)}`) };
}

/** One JSON object a line; empty lines are none. */
function readJsonLines(text: string): Source {
  const lines = text.split('\n').flatMap((source, i): RawLine[] => {
    const line = i + 1;
    if (source.trim() === '') return [];
    if (source.length > SOURCE_LIMITS.lineCharacters) {
      const limit = SOURCE_LIMITS.lineCharacters;
      return [{ line, error: new UsageError(`has ${source.length} characters; a line has at most ${limit}`) }];
    }
    try {
      return [asFields(line, JSON.parse(source))];
    } catch (error) {
      const reason =
        error instanceof Error ? error.message.replace(/\s+/g, ' ').replace(/, "?\.{3}.*| in JSON.*/s, '') : '';
      return [{ line, error: new UsageError(`not JSON: ${reason}`) }];
    }
  });
  return { lines, defaults: {}, axes: undefined };
}

interface CsvRow {
  readonly record: string[];
  readonly info: { readonly lines: number };
}

/** A row of names, then one a request; an empty cell leaves its field open. */
function readCsvRows(text: string, name: string): Source {
  let rows: CsvRow[];
  try {
    rows = parseCsv(text, {
      info: true,
      relax_column_count: true,
      skip_empty_lines: true,
      max_record_size: SOURCE_LIMITS.lineCharacters,
    }) as unknown as CsvRow[];
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
    throw new UsageError(`${name} is not CSV: ${reason}`);
  }
  const [head, ...body] = rows;
  const columns = (head?.record ?? []).map((column) => column.trim());
  const empty = columns.indexOf('');
  if (empty >= 0) throw new UsageError(`${name}: column ${empty + 1} has no name`);
  const doubled = columns.find((column, i) => columns.indexOf(column) < i);
  if (doubled !== undefined) throw new UsageError(`${name}: two columns are named ${showValue(doubled)}`);
  const lines = body.map(({ record, info }): RawLine => {
    // Where the row begins: its quoted cells may hold line ends.
    const line = info.lines - record.reduce((sum, cell) => sum + cell.split('\n').length - 1, 0);
    if (record.length > columns.length) {
      return { line, error: new UsageError(`has ${record.length} cells for ${columns.length} columns`) };
    }
    return { line, fields: Object.fromEntries(columns.map((column, k) => [column, emptyAsAbsent(record[k])])) };
  });
  return { lines, defaults: {}, axes: undefined };
}

const emptyAsAbsent = (cell: string | undefined): string | undefined => (cell?.trim() === '' ? undefined : cell);

const YAML_KEYS = ['defaults', 'axes', 'requests'];

/** A list of requests, or an object with `requests` and what holds for all: `defaults`, `axes`. */
function readYaml(text: string, name: string): Source {
  const counter = new LineCounter();
  requireShallow(text, name);
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false, merge: true, logLevel: 'silent' });
  const [error] = document.errors;
  if (error !== undefined) {
    const { line } = counter.linePos(error.pos[0]);
    throw new UsageError(`${name}:${line}: not YAML: ${error.message.split('\n')[0]}`);
  }
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: SOURCE_LIMITS.aliases });
  } catch (cause) {
    const reason = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause);
    throw new UsageError(`${name} is not taken: ${reason}`);
  }
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  const whole: Fields = isObject ? (value as Fields) : { requests: value };
  const unknown = Object.keys(whole).find((key) => !YAML_KEYS.includes(key));
  if (unknown !== undefined) {
    const hint = didYouMean(unknown, YAML_KEYS);
    throw new UsageError(`${name}: ${showValue(unknown)} is not one of ${YAML_KEYS.join(', ')}${hint}`);
  }
  const { requests, defaults = {}, axes } = whole;
  if (!Array.isArray(requests))
    throw new UsageError(`${name} is a list of requests, or an object with such a list as requests`);
  if (typeof defaults !== 'object' || defaults === null || Array.isArray(defaults)) {
    throw new UsageError(`${name}: defaults is an object of named fields`);
  }
  const starts = itemLines(document.get('requests') ?? document.contents, counter);
  const lines = requests.map((request, i) => asFields(starts[i] ?? i + 1, request));
  return { lines, defaults: defaults as Fields, axes };
}

/** The parser recurses, and compiles an expression as long as the indentation: what is nested deep is refused before. */
function requireShallow(text: string, name: string): void {
  let depth = 0;
  let column = 0;
  for (const token of new Lexer().lex(text)) {
    if (token === '[' || token === '{') depth += 1;
    else if (token === ']' || token === '}') depth = Math.max(0, depth - 1);
    const isIndicator = token === '-' || token === '?' || token === ':';
    if (depth > SOURCE_LIMITS.depth || (isIndicator && column > SOURCE_LIMITS.columns)) {
      throw new UsageError(`${name} is nested too deep`);
    }
    const lineEnd = token.lastIndexOf('\n');
    column = lineEnd < 0 ? column + token.length : token.length - lineEnd - 1;
  }
}

/** Where each item of a YAML list begins. */
function itemLines(node: unknown, counter: LineCounter): number[] {
  const items: unknown = typeof node === 'object' && node !== null ? Reflect.get(node, 'items') : undefined;
  if (!Array.isArray(items)) return [];
  return items.map((item: unknown) => {
    const range: unknown = typeof item === 'object' && item !== null ? Reflect.get(item, 'range') : undefined;
    const start: unknown = Array.isArray(range) ? range[0] : undefined;
    return typeof start === 'number' ? counter.linePos(start).line : 0;
  });
}
