import { UsageError } from '../request/errors.js';
import { toNumber } from '../request/number-text.js';
import { showValue } from '../request/show-value.js';

/** Values of one axis. */
export const MAX_VALUES = 10_000;

const NUMBER = String.raw`([+-]?\d+(?:\.\d*)?)`;
/** "10-30", "10-30 (+5)", "0-1 (+0.25)", "30-10 (-5)". */
const STEPS = new RegExp(String.raw`^${NUMBER}\s*-\s*${NUMBER}(?:\s*\(\s*([+-]\d+(?:\.\d*)?)\s*\))?$`);
/** "1-10 [5]". */
const COUNT = new RegExp(String.raw`^${NUMBER}\s*-\s*${NUMBER}\s*\[\s*(\d+)\s*\]$`);

function tooMany(text: string, count: number): UsageError {
  return new UsageError(`${showValue(text)} is ${count} values; an axis has at most ${MAX_VALUES}`);
}

const decimalsOf = (text: string): number => text.split('.')[1]?.length ?? 0;

/**
 * start, start + step … up to and with the end. Counted in the last decimal that is written, so that 0-1 (+0.1) holds
 * 0.3 and not 0.30000000000000004.
 */
function stepValues(text: string, [from, to, by]: readonly [string, string, string | undefined]): number[] {
  const [start, end] = [Number(from), Number(to)];
  const stepText = by ?? (end < start ? '-1' : '+1');
  const step = Number(stepText);
  if (step === 0) throw new UsageError(`${showValue(text)} has a step of 0`);
  if ((end - start) * step < 0) throw new UsageError(`${showValue(text)} never reaches its end: turn the step's sign`);
  const scale = 10 ** Math.max(decimalsOf(from), decimalsOf(to), decimalsOf(stepText));
  const [first, last, unit] = [start, end, step].map((value) => Math.round(value * scale)) as [number, number, number];
  const count = Math.floor((last - first) / unit) + 1;
  if (count > MAX_VALUES) throw tooMany(text, count);
  return Array.from({ length: count }, (_, i) => (first + i * unit) / scale);
}

/** `count` values evenly spaced from start to end, as numpy.linspace gives them; whole ones lose their fraction. */
function evenValues(text: string, start: number, end: number, count: number, whole: boolean): number[] {
  if (count < 1) throw new UsageError(`${showValue(text)} is 0 values`);
  if (count > MAX_VALUES) throw tooMany(text, count);
  const step = count === 1 ? 0 : (end - start) / (count - 1);
  const values = Array.from({ length: count }, (_, i) => (i > 0 && i === count - 1 ? end : i * step + start));
  return whole ? values.map(Math.trunc) : values;
}

/**
 * Numbers as the webui's X/Y/Z plot reads them: joined by commas, each a number, "10-30" (by 1), "10-30 (+5)" or
 * "1-10 [5]" (five, evenly spaced). Unlike there the end belongs to the range whichever way it goes.
 * @param whole whether evenly spaced values are whole numbers
 * @returns undefined where any of them is something else
 * @throws UsageError for a range that makes no sense
 */
export function expandNumbers(text: string, whole: boolean): number[] | undefined {
  const values: number[] = [];
  for (const part of text.split(',').map((one) => one.trim())) {
    if (part === '') continue;
    const steps = STEPS.exec(part);
    const even = COUNT.exec(part);
    if (steps !== null) {
      values.push(...stepValues(part, [steps[1] ?? '', steps[2] ?? '', steps[3]]));
    } else if (even !== null) {
      values.push(...evenValues(part, Number(even[1]), Number(even[2]), Number(even[3]), whole));
    } else {
      const value = toNumber(part);
      if (typeof value !== 'number') return undefined;
      values.push(value);
    }
    if (values.length > MAX_VALUES) throw tooMany(text, values.length);
  }
  return values.length === 0 ? undefined : values;
}
