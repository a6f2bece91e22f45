import { UsageError } from '../request/errors.js';
import { toNumber } from '../request/number-text.js';
import { showValue } from '../request/show-value.js';
import type { FieldType } from './kinds.js';
import { expandNumbers, MAX_VALUES } from './ranges.js';

/** A request's fields by their own names. */
export type Fields = Readonly<Record<string, unknown>>;

const TRUE = new Set(['true', '1', 'yes', 'on']);
const FALSE = new Set(['false', '0', 'no', 'off']);

function readBoolean(value: unknown): unknown {
  const word = String(value).trim().toLowerCase();
  return TRUE.has(word) ? true : FALSE.has(word) ? false : value;
}

/** A name of the list whatever its case; otherwise the text, which the schema refuses by its own rule. */
function readChoice(value: unknown, choices: readonly string[]): unknown {
  return typeof value === 'string'
    ? (choices.find((one) => one.toLowerCase() === value.toLowerCase()) ?? value)
    : value;
}

const numbersIn = (text: string): unknown[] =>
  text
    .trim()
    .split(/[\s,]+/)
    .map(toNumber);
const wordsIn = (text: string): string[] =>
  text
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '');

function readOne(type: FieldType, value: unknown): unknown[] {
  if (type.kind === 'number' && typeof value === 'string') return expandNumbers(value, type.whole) ?? [value];
  if (type.kind === 'boolean') return [readBoolean(value)];
  if (type.kind === 'choice') return [readChoice(value, type.choices)];
  return [value];
}

function readList(type: FieldType, value: unknown): unknown {
  if (typeof value === 'string') return type.kind === 'numbers' ? numbersIn(value) : wordsIn(value);
  const list = Array.isArray(value) ? value : [value];
  // An axis gives each value as a list of one text.
  return type.kind === 'numbers' && list.length === 1 && typeof list[0] === 'string' ? numbersIn(list[0]) : list;
}

/**
 * The values that a line's field stands for, each as its schema wants it: several where it is a range or a list. What
 * is no such value stays as it is, for the schema to refuse by its rule.
 * @throws UsageError for a range that makes no sense, or too many values
 */
export function readValues(type: FieldType, value: unknown): unknown[] {
  if (type.kind === 'other') return [value];
  const isList = type.kind === 'numbers' || type.kind === 'texts';
  const several = Array.isArray(value) && (isList ? value.some(Array.isArray) : true);
  if (several && value.length === 0) throw new UsageError('a list of values may not be empty');
  if (several && value.length > MAX_VALUES) {
    throw new UsageError(`${showValue(value)} of ${value.length} values is more than ${MAX_VALUES}`);
  }
  const given: readonly unknown[] = several ? value : [value];
  const values = given.flatMap((one) => (isList ? [readList(type, one)] : readOne(type, one)));
  if (values.length > MAX_VALUES) throw new UsageError(`${values.length} values are more than ${MAX_VALUES}`);
  return values;
}
