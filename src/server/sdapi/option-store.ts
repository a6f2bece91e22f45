import type { OptionStore, Options } from '../../context/options.js';
import { derive } from '../../context/options.js';
import { UsageError } from '../../request/errors.js';
import { didYouMean } from '../../request/nearest.js';
import { showValue } from '../../request/show-value.js';
import { refuseField } from '../errors.js';
import { OPTION_OF, OPTION_ROWS, type OptionRow, type OptionValue } from './option-table.js';

/** Options at one moment, or with one request's overrides: never changed afterwards. */
export interface OptionsView {
  /** By the webui's names, all of them. */
  readonly webui: Readonly<Record<string, OptionValue>>;
  /** What differs from the store, by our names: a run's own overrides. */
  readonly overrides: Partial<Options>;
}

/** Keys that the webui keeps from its API. */
const isRestricted = (key: string): boolean => key.startsWith('api_');

function typed(row: OptionRow, value: unknown): OptionValue | undefined {
  const { standard } = row;
  if (value === null) return standard === null ? null : undefined;
  if (typeof standard === 'number' && typeof value === 'string' && value.trim() !== '') {
    const number = Number(value);
    return Number.isFinite(number) ? number : undefined;
  }
  if (typeof standard === 'boolean' && (value === 0 || value === 1)) return value === 1;
  const wanted = standard === null ? 'string' : typeof standard;
  return typeof value === wanted ? (value as OptionValue) : undefined;
}

/** One value, checked against its row. @throws InvalidRequest naming the option */
function checked(key: string, value: unknown): OptionValue {
  const row = OPTION_OF.get(key);
  if (row === undefined) {
    const near = didYouMean(key.slice(0, 64), [...OPTION_OF.keys()]);
    throw refuseField(key.slice(0, 100), `${showValue(key)} is not an option here${near}`);
  }
  const { standard, use, choices } = row;
  const read = typed(row, value);
  if (read === undefined) {
    throw refuseField(key, `${key} must be of the type of ${showValue(standard)}; ${showValue(value)} is not`);
  }
  if (choices !== undefined && !choices.includes(read)) {
    throw refuseField(key, `${key} must be one of ${choices.join(', ')}; ${showValue(read)} is not`);
  }
  if (use.kind === 'fixed' && choices === undefined && read !== standard) {
    throw refuseField(key, `${key} is not built here: only ${showValue(standard)} is accepted, not ${showValue(read)}`);
  }
  const [least, most] = RANGES[key] ?? [];
  if (
    typeof read === 'number' &&
    least !== undefined &&
    most !== undefined &&
    !(Number.isInteger(read) && read >= least && read <= most)
  ) {
    throw refuseField(key, `${key} must be a whole number from ${least} to ${most}; ${read} is not`);
  }
  return read;
}

/** Of the options that the server reads. */
const RANGES: Readonly<Record<string, readonly [number, number]>> = {
  CLIP_stop_at_last_layers: [1, 12],
  jpeg_quality: [1, 100],
  show_progress_every_n_steps: [-1, 1000],
};

/** The fields of our own options that webui options stand for. @throws InvalidRequest */
function ownOptions(changes: Readonly<Record<string, OptionValue>>): Partial<Options> {
  const own = Object.entries(changes).flatMap(([key, value]) => {
    const use = OPTION_OF.get(key)?.use;
    return use?.kind === 'run' ? [[use.name, value] as const] : [];
  });
  return Object.fromEntries(own) as Partial<Options>;
}

/** The webui's names of our own options. */
const KEY_OF: ReadonlyMap<string, string> = new Map(
  OPTION_ROWS.flatMap(({ key, use }) => (use.kind === 'run' ? [[use.name, key] as const] : [])),
);

/** @throws InvalidRequest for a value that our own options do not take */
function requireFit(store: OptionStore, changes: Partial<Options>): void {
  try {
    derive(store.snapshot(), changes, (field) => KEY_OF.get(field) ?? field);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw refuseField(KEY_OF.get(error.field ?? '') ?? 'options', error.message);
  }
}

/**
 * The webui's options over our own store. A run takes a view when it arrives; `set` changes later ones only, and all
 * of it or nothing.
 */
export class WebuiOptions {
  readonly #store: OptionStore;
  #values: Readonly<Record<string, OptionValue>>;

  /** @param initial options that the server's flags decide */
  constructor(store: OptionStore, initial: Readonly<Record<string, OptionValue>> = {}) {
    this.#store = store;
    this.#values = Object.freeze({
      ...Object.fromEntries(OPTION_ROWS.map(({ key, standard }) => [key, standard])),
      ...initial,
    });
  }

  /** Every option now: those that are ours as the store has them. */
  get values(): Readonly<Record<string, OptionValue>> {
    const own = this.#store.snapshot();
    const shown = OPTION_ROWS.flatMap(({ key, use }) => (use.kind === 'run' ? [[key, own[use.name]] as const] : []));
    return { ...this.#values, ...Object.fromEntries(shown) };
  }

  /** The changes that a body asks for, checked. @throws InvalidRequest for what is unknown, wrong or not built */
  check(changes: Readonly<Record<string, unknown>>): Readonly<Record<string, OptionValue>> {
    const given = Object.entries(changes).filter(([key]) => !isRestricted(key));
    const read = Object.fromEntries(given.map(([key, value]) => [key, checked(key, value)]));
    requireFit(this.#store, ownOptions(read));
    return read;
  }

  /** Options with a request's own; nothing is changed. @throws InvalidRequest */
  view(overrides: Readonly<Record<string, unknown>> = {}): OptionsView {
    const read = this.check(overrides);
    return { webui: Object.freeze({ ...this.values, ...read }), overrides: ownOptions(read) };
  }

  /** @throws InvalidRequest; nothing changes then */
  set(changes: Readonly<Record<string, unknown>>): void {
    const read = this.check(changes);
    this.#store.set(ownOptions(read));
    this.#values = Object.freeze({ ...this.#values, ...read });
  }
}
