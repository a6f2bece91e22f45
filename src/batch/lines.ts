import { createHash } from 'node:crypto';
import { canonicalJson } from '../pipeline/plan.js';
import type { FieldNaming } from '../request/describe.js';
import { UsageError } from '../request/errors.js';
import { DEFAULTS, LIMITS } from '../request/limits.js';
import { showValue } from '../request/show-value.js';
import { AXIS_NAMES, type Axis, readAxes, readTemplate, templateAxis, valueAxis } from './axes.js';
import { type Fields, readValues } from './field-values.js';
import { type BatchLine, itemAt } from './items.js';
import { checkFields, fieldOf, fieldType, kindOf, type RequestKind, type Workload } from './kinds.js';
import type { RawLine } from './reader.js';
import { onlyText } from './templates.js';
import type { Wildcards } from './wildcards.js';

/** Pictures, or batches made at once, of one run of `sdgen batch`. */
export const MAX_ITEMS = 100_000;

export interface LineOptions {
  /** For all lines that do not say otherwise, by the fields' own names. */
  readonly defaults: Fields;
  /** Axes for all lines that have none of the same letter. */
  readonly axes: Fields;
  /** Prompts are taken as they are written. */
  readonly literal: boolean;
  readonly wildcards: Wildcards;
  /** Every entry of a wildcard, instead of one at random. */
  readonly allWildcards: boolean;
  /** How a message names a default. */
  readonly naming?: FieldNaming;
}

const PROMPTS: readonly string[] = ['prompt', 'negativePrompt'];

/** Fields by their own names; null and what is absent is not given. @throws UsageError for unknown ones and doubles */
export function ownNames(
  fields: Fields,
  otherwise: FieldNaming = (field) => field,
): { readonly fields: Fields; readonly naming: FieldNaming } {
  const own: Record<string, unknown> = {};
  const written: Record<string, string> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined || value === null) continue;
    const field = fieldOf(name);
    if (own[field] !== undefined) {
      throw new UsageError(`${written[field]} and ${showValue(name)} are the same field`, field);
    }
    own[field] = value;
    written[field] = name;
  }
  return { fields: own, naming: (field) => written[field] ?? otherwise(field) };
}

/** The axis of a field that stands for several texts or for drawn ones; else its only text. */
async function readText(field: string, value: unknown, options: LineOptions): Promise<Axis | string | undefined> {
  const texts: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (texts.length === 0) throw new UsageError(`${field}: a list of values may not be empty`, field);
  if (texts.some((text) => typeof text !== 'string')) return undefined;
  const wildcards = PROMPTS.includes(field);
  const templates = texts.map((text) => readTemplate(String(text), { literal: options.literal, wildcards }));
  for (const template of templates) await options.wildcards.read(template);
  const [only] = templates;
  const text = templates.length === 1 && only !== undefined ? onlyText(only) : undefined;
  return text ?? templateAxis(field, templates, { entries: options.wildcards, all: options.allWildcards });
}

/** What of a line stays the same, and what differs: in the order of its fields. */
async function readFields(kind: RequestKind, given: Fields, declared: readonly Axis[], options: LineOptions) {
  const fields: Record<string, unknown> = {};
  const axes: Axis[] = [];
  for (const [field, value] of Object.entries(given)) {
    if (field === 'kind' || field === 'axes' || field === 'count') continue;
    if (declared.some((axis) => axis.field === field)) continue;
    const type = fieldType(kind, field);
    const text = type.kind === 'text' ? await readText(field, value, options) : undefined;
    if (typeof text === 'string') fields[field] = text;
    else if (text !== undefined) axes.push(text);
    else {
      const values = readValues(type, value);
      if (values.length === 1) fields[field] = values[0];
      else axes.push(valueAxis(undefined, field, values));
    }
  }
  return { fields, axes };
}

/** Axes over the model outermost, so that each is loaded once; then those of fields, then z, y and x. */
function orderAxes(axes: readonly Axis[]): Axis[] {
  const rank = ({ field, name }: Axis): number =>
    field === 'model' ? 0 : field === 'vae' ? 1 : name === undefined ? 2 : 5 - AXIS_NAMES.indexOf(name);
  return axes
    .map((axis, i) => ({ axis, i }))
    .sort((a, b) => rank(a.axis) - rank(b.axis) || a.i - b.i)
    .map(({ axis }) => axis);
}

function readCount(value: unknown): number {
  const [count = DEFAULTS.count, ...more] =
    value === undefined ? [] : readValues({ kind: 'number', whole: true, choices: [] }, value);
  const { min, max } = LIMITS.count;
  if (more.length === 0 && typeof count === 'number' && Number.isInteger(count) && count >= min && count <= max)
    return count;
  throw new UsageError(`count must be a whole number from ${min} to ${max}; ${showValue(value)} is not`, 'count');
}

/** Refuses every value of every axis that is wrong in itself; values are independent of each other. */
function checkAxes(line: Omit<BatchLine, 'workload'>, naming: FieldNaming): Workload {
  // Any seed will do: it decides texts, which are right whatever they are.
  const sample = (index: number) =>
    itemAt({ ...line, workload: { steps: 1, pixels: 1 } }, index, { seeds: [], subseeds: [] });
  const first = sample(0);
  const workload = checkFields(line.kind, first.fields, naming);
  let block = line.size;
  for (const axis of line.axes) {
    block /= axis.size;
    if (axis.stage === 2 || PROMPTS.includes(axis.field)) continue;
    for (let i = 1; i < axis.size; i += 1) checkFields(line.kind, sample(i * block).fields, naming);
  }
  return workload;
}

/**
 * Reads a line into what it stands for, and refuses what is wrong in it before any model is opened.
 * @param seen keys of the lines before, for equal ones
 * @throws UsageError, or FailureError for a file of wildcards that cannot be read
 */
export async function readLine(raw: RawLine, options: LineOptions, seen: Map<string, number>): Promise<BatchLine> {
  if (raw.error !== undefined) throw raw.error;
  const { fields: own, naming } = ownNames(raw.fields ?? {}, options.naming);
  const merged: Fields = { ...options.defaults, ...own };
  const kind = kindOf(merged);
  const axesGiven = { ...options.axes, ...asAxes(merged.axes) };
  const declared = readAxes(axesGiven, kind);
  const { fields, axes: implied } = await readFields(kind, merged, declared, options);
  const doubled = declared.find((axis, i) => declared.findIndex(({ field }) => field === axis.field) < i);
  if (doubled !== undefined) throw new UsageError(`two axes are over ${doubled.field}`, 'axes');
  const axes = orderAxes([...implied, ...declared]);
  const repeats = readCount(merged.count);
  const size = axes.reduce((product, axis) => product * axis.size, repeats);
  if (size > MAX_ITEMS) throw new UsageError(`stands for ${size} pictures; a batch has at most ${MAX_ITEMS}`);
  const content = createHash('sha256')
    .update(canonicalJson({ ...merged, axes: axesGiven }))
    .digest('hex');
  const times = (seen.get(content) ?? 0) + 1;
  seen.set(content, times);
  const { wildcards, allWildcards } = options;
  const key = times === 1 ? content : `${content}.${times}`;
  const line = { line: raw.line, key, kind, fields, axes, repeats, size, wildcards, allWildcards };
  return { ...line, workload: checkAxes(line, naming) };
}

/** A line's own axes; {} where it has none. */
function asAxes(axes: unknown): Fields {
  if (axes === undefined) return {};
  if (typeof axes === 'object' && axes !== null && !Array.isArray(axes)) return axes as Fields;
  throw new UsageError(`axes is an object with x, y or z; ${showValue(axes)} is not`, 'axes');
}
