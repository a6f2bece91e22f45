import { z } from 'zod';
import { showValue } from '../request/show-value.js';
import { type Detail, InvalidRequest } from './errors.js';

const TRUE = new Set(['true', 't', 'yes', 'y', 'on', '1']);
const FALSE = new Set(['false', 'f', 'no', 'n', 'off', '0']);

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function toNumber(value: unknown): unknown {
  if (typeof value === 'boolean') return Number(value);
  if (typeof value !== 'string' || !/^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i.test(value)) return value;
  return Number(value);
}

function toBoolean(value: unknown): unknown {
  const word = String(value).toLowerCase();
  if (typeof value !== 'string' && typeof value !== 'number') return value;
  return TRUE.has(word) ? true : FALSE.has(word) ? false : value;
}

function toText(value: unknown): unknown {
  if (typeof value === 'number') return String(value);
  return typeof value === 'boolean' ? (value ? 'True' : 'False') : value;
}

/**
 * A value as FastAPI's models take it: "20" is a number, 1 is true, 7 is text where text is wanted. A null where only a
 * default is known counts as absent. What does not fit stays, for the schema to refuse.
 */
export function coerce(schema: z.core.$ZodType, value: unknown): unknown {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodOptional) {
    const inner = coerce(schema.unwrap(), value);
    return inner === null && !schema.safeParse(null).success ? undefined : inner;
  }
  if (schema instanceof z.ZodNullable) return value === null ? null : coerce(schema.unwrap(), value);
  if (schema instanceof z.ZodNumber) return toNumber(value);
  if (schema instanceof z.ZodBoolean) return toBoolean(value);
  if (schema instanceof z.ZodString) return toText(value);
  if (schema instanceof z.ZodArray && Array.isArray(value)) return value.map((item) => coerce(schema.element, item));
  if (!(schema instanceof z.ZodObject) || !isObject(value)) return value;
  const known = Object.entries(schema.shape).flatMap(([key, field]) => {
    const given = Object.hasOwn(value, key) ? coerce(field as z.ZodType, value[key]) : undefined;
    return given === undefined ? [] : [[key, given] as const];
  });
  return Object.fromEntries(known);
}

const TYPE_NAMES: Readonly<Record<string, readonly [msg: string, type: string]>> = {
  int: ['value is not a valid integer', 'type_error.integer'],
  number: ['value is not a valid float', 'type_error.float'],
  string: ['str type expected', 'type_error.str'],
  boolean: ['value could not be parsed to a boolean', 'type_error.bool'],
  array: ['value is not a valid list', 'type_error.list'],
  object: ['value is not a valid dict', 'type_error.dict'],
  record: ['value is not a valid dict', 'type_error.dict'],
};

type Issue = z.core.$ZodIssue;

/** Whether the place that an issue is at takes whole numbers. */
function isWhole(schema: z.core.$ZodType, path: readonly PropertyKey[]): boolean {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodOptional || schema instanceof z.ZodNullable) {
    return isWhole(schema.unwrap(), path);
  }
  const [key, ...rest] = path;
  if (key === undefined) return schema instanceof z.ZodNumber && schema.isInt;
  if (schema instanceof z.ZodArray) return isWhole(schema.element, rest);
  const field = schema instanceof z.ZodObject ? schema.shape[String(key)] : undefined;
  return field !== undefined && isWhole(field, rest);
}

function wording(issue: Issue, given: unknown, whole: boolean): readonly [msg: string, type: string] {
  if (issue.code === 'invalid_type') {
    if (given === undefined) return ['field required', 'value_error.missing'];
    if (given === null) return ['none is not an allowed value', 'type_error.none.not_allowed'];
    return TYPE_NAMES[whole ? 'int' : issue.expected] ?? [issue.message, 'type_error'];
  }
  if (issue.code === 'too_big' && issue.origin !== 'string' && issue.origin !== 'array') {
    return [`ensure this value is less than or equal to ${issue.maximum}`, 'value_error.number.not_le'];
  }
  if (issue.code === 'too_small' && issue.origin !== 'string' && issue.origin !== 'array') {
    const isStrict = issue.inclusive === false;
    return isStrict
      ? [`ensure this value is greater than ${issue.minimum}`, 'value_error.number.not_gt']
      : [`ensure this value is greater than or equal to ${issue.minimum}`, 'value_error.number.not_ge'];
  }
  return [issue.message, 'value_error'];
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) => (isObject(value) || Array.isArray(value) ? Reflect.get(value, key) : undefined),
    input,
  );
}

/**
 * Reads a body, query or path.
 * @param where the first part of FastAPI's `loc`
 * @throws InvalidRequest with everything that is wrong
 */
export function readAs<S extends z.ZodType>(schema: S, input: unknown, where: string): z.output<S> {
  if (input === undefined && !schema.safeParse(undefined).success) {
    throw new InvalidRequest([{ loc: [where], msg: 'field required', type: 'value_error.missing' }]);
  }
  const value = coerce(schema, input);
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new InvalidRequest(
    result.error.issues.map((issue): Detail => {
      const path = issue.path.map((key) => (typeof key === 'symbol' ? String(key) : key));
      const given = valueAt(value, issue.path);
      const [msg, type] = wording(issue, given, isWhole(schema, issue.path));
      const shown =
        given === undefined || given === null || typeof given === 'object' ? '' : `; ${showValue(given)} is not`;
      return { loc: [where, ...path], msg: `${msg}${shown}`, type };
    }),
  );
}
