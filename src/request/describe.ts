import { z } from 'zod';
import { UsageError } from './errors.js';
import { didYouMean } from './nearest.js';
import { showValue } from './show-value.js';

/** Of a list of names in a message. */
const LIST_CHARACTERS = 240;

/** The value that an issue's path points at. */
function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value = input;
  for (const key of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = Reflect.get(value, key);
  }
  return value;
}

/** The rule a field states in `describe()`, e.g. "a whole number from 1 to 1000". */
function ruleOf(schema: z.ZodObject, path: readonly PropertyKey[]): string | undefined {
  let field: unknown = schema.shape[String(path[0])];
  while (field instanceof z.ZodDefault || field instanceof z.ZodOptional) field = field.unwrap();
  return field instanceof z.ZodType ? field.description : undefined;
}

/** Names of one short line. */
function shortList(names: readonly string[]): string {
  const text = names.join(', ');
  return text.length <= LIST_CHARACTERS ? text : `${text.slice(0, text.lastIndexOf(',', LIST_CHARACTERS))}, …`;
}

/** A field's name as the reader knows it: camelCase for programs, kebab-case for the command line. */
export type FieldNaming = (field: string) => string;

/**
 * One line for the first thing wrong: "width must be a multiple of 8 from 16 to 16384; 63 is not".
 * Fields state their rule once, in `describe()`.
 */
export function parseWith<S extends z.ZodObject>(
  schema: S,
  input: unknown,
  naming: FieldNaming = (field) => field,
): z.output<S> {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  if (issue === undefined) throw new UsageError('the request is not valid');
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0] ?? '';
    const known = Object.keys(schema.shape);
    // Comparing costs the product of both lengths, and no name is longer than this.
    const near = didYouMean(key.slice(0, 64), known);
    throw new UsageError(`${showValue(key)} is not a field here${near || `; known: ${shortList(known)}`}`, key);
  }
  const field = String(issue.path[0] ?? '');
  if (field === '') throw new UsageError(`a request is an object of named fields, not ${showValue(input)}`);
  const value = valueAt(input, issue.path);
  const rule = ruleOf(schema, issue.path);
  const name = naming(field);
  if (value === undefined) throw new UsageError(`${name} is missing${rule === undefined ? '' : `: ${rule}`}`, field);
  if (issue.code === 'custom' || (issue.code === 'too_big' && issue.origin === 'string'))
    throw new UsageError(`${name} ${issue.message}`, field);
  throw new UsageError(
    rule === undefined ? `${name}: ${issue.message}` : `${name} must be ${rule}; ${showValue(value)} is not`,
    field,
  );
}
