import { z } from 'zod';
import { type FieldNaming, parseWith } from '../request/describe.js';
import { EMPHASIS_NAMES } from '../request/limits.js';

const finite = (rule: string, min: number, max = Number.MAX_VALUE) => z.number().min(min).max(max).describe(rule);

/**
 * Settings that outlive a request. A run reads a frozen snapshot; changing the store changes later runs only.
 * Names of sampler settings are k-diffusion's; `sTmax` is Number.MAX_VALUE for infinity, since a plan is JSON.
 */
export const optionsSchema = z.strictObject({
  /** How far back a full token window may be cut at a comma, in tokens. */
  commaPaddingBacktrack: z.number().int().min(0).max(74).describe('a whole number from 0 to 74').default(20),
  /** What weights in a prompt do. */
  emphasis: z
    .enum(EMPHASIS_NAMES)
    .describe(`one of ${EMPHASIS_NAMES.join(', ')}`)
    .default('Original'),
  /** Whether # begins a comment in a prompt. */
  promptComments: z.boolean().describe('true or false').default(true),
  /** Whether numbers in prompt schedules are read as the webui before 1.6 reads them. */
  oldPromptSchedules: z.boolean().describe('true or false').default(false),
  eta: finite('a number from 0 to 1', 0, 1).default(1),
  sChurn: finite('a number from 0 to 100', 0, 100).default(0),
  sTmin: finite('a number from 0 to 10', 0, 10).default(0),
  sTmax: finite('a number of 0 or more', 0).default(Number.MAX_VALUE),
  sNoise: finite('a number from 0 to 1.1', 0, 1.1).default(1),
});

export type Options = z.output<typeof optionsSchema>;
export type OptionsSnapshot = Readonly<Options>;
export type OptionsInput = z.input<typeof optionsSchema>;

/** Freezes an object and everything it holds. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const key of Reflect.ownKeys(value)) deepFreeze(Reflect.get(value, key));
  return Object.freeze(value);
}

/** Holds the current options; only `set` changes them. */
export class OptionStore {
  #current: OptionsSnapshot;

  constructor(initial: unknown = {}) {
    this.#current = deepFreeze(parseWith(optionsSchema, initial));
  }

  /** @throws UsageError; nothing changes then. */
  set(changes: unknown): void {
    this.#current = derive(this.#current, changes);
  }

  /** The options as they are now, deep-frozen. */
  snapshot(): OptionsSnapshot {
    return this.#current;
  }
}

/**
 * A snapshot with a request's overrides. The store is not touched, so there is nothing to restore.
 * @throws UsageError for unknown names and values out of range.
 */
export function derive(snapshot: OptionsSnapshot, overrides: unknown, naming?: FieldNaming): OptionsSnapshot {
  if (overrides === undefined) return snapshot;
  const isObject = typeof overrides === 'object' && overrides !== null && !Array.isArray(overrides);
  return deepFreeze(parseWith(optionsSchema, isObject ? { ...snapshot, ...overrides } : overrides, naming));
}
