import { createHash } from 'node:crypto';
import { canonicalJson } from '../pipeline/plan.js';
import type { RandomInteger } from '../pipeline/seeds.js';
import { DEFAULTS } from '../request/limits.js';
import type { Axis, AxisName } from './axes.js';
import type { Fields } from './field-values.js';
import { type RequestKind, type SplitFields, splitFields, type Workload } from './kinds.js';
import type { Chosen } from './templates.js';
import type { Wildcards } from './wildcards.js';

/** A line whose every picture is known but for what is drawn at random. */
export interface BatchLine {
  /** In the file, from 1. */
  readonly line: number;
  /** Of its content; equal lines count up. Seeds that are drawn for a line are kept under it. */
  readonly key: string;
  readonly kind: RequestKind;
  /** What does not differ. */
  readonly fields: Fields;
  /** Outermost first; the last changes fastest. */
  readonly axes: readonly Axis[];
  /** The innermost: pictures of the same request, with seeds that count up. */
  readonly repeats: number;
  /** Items in all. */
  readonly size: number;
  /** Of one item. */
  readonly workload: Workload;
  /** How wildcards are taken. */
  readonly wildcards: Wildcards;
  readonly allWildcards: boolean;
}

/** Seeds drawn for a line, one for each -1 that it holds. */
export interface LineSeeds {
  readonly seeds: readonly number[];
  readonly subseeds: readonly number[];
}

/** Where an item comes from. */
export interface Origin {
  readonly line: number;
  /** Of the pictures of one request, from 1. */
  readonly repeat: number;
  /** Places that differ within the line, outermost first. */
  readonly axes: readonly {
    readonly axis?: AxisName;
    readonly field: string;
    readonly index: number;
    readonly label: string;
  }[];
  /** What took the places of alternatives and wildcards; wildcards are drawn by `seed`. */
  readonly chosen?: readonly Chosen[];
  readonly seed?: number;
}

/** One run of the engine: a picture, or as many as are made at once. */
export interface BatchItem extends SplitFields {
  readonly kind: RequestKind;
  readonly line: BatchLine;
  /** Place in the line, from 0. */
  readonly index: number;
  /** All fields that are given, seeds resolved. */
  readonly fields: Fields;
  readonly origin: Origin;
}

const numberOf = (value: unknown, otherwise: number): number => (typeof value === 'number' ? value : otherwise);

/** How many seeds of a line are to be drawn. */
export function openSeeds(line: BatchLine): { readonly seeds: number; readonly subseeds: number } {
  return { seeds: countOpen(line, 'seed'), subseeds: countOpen(line, 'subseed') };
}

function valuesOf(line: BatchLine, field: 'seed' | 'subseed'): readonly unknown[] {
  const axis = line.axes.find((one) => one.field === field);
  if (axis === undefined) return [line.fields[field] ?? DEFAULTS[field]];
  const how = { entries: line.wildcards, all: line.allWildcards, seed: 0 };
  return Array.from({ length: axis.size }, (_, i) => axis.step(i, {}, how).fields[field]);
}

function countOpen(line: BatchLine, field: 'seed' | 'subseed'): number {
  const varies = line.axes.some((axis) => axis.field === 'subseedStrength');
  const isRead = field === 'seed' || varies || numberOf(line.fields.subseedStrength, 0) !== 0;
  return isRead ? valuesOf(line, field).filter((value) => value === -1).length : 0;
}

/** Draws what a line leaves to chance. */
export function drawSeeds(line: BatchLine, random: RandomInteger): LineSeeds {
  const draw = (count: number) => Array.from({ length: count }, () => random(4_294_967_294));
  const { seeds, subseeds } = openSeeds(line);
  return { seeds: draw(seeds), subseeds: draw(subseeds) };
}

/** The value at an axis's place or of the line, with the drawn one for -1. */
function settle(
  line: BatchLine,
  field: 'seed' | 'subseed',
  value: number,
  index: number,
  drawn: readonly number[],
): number {
  if (value !== -1) return value;
  if (!line.axes.some((axis) => axis.field === field)) return drawn[0] ?? 0;
  const before = valuesOf(line, field).slice(0, index);
  return drawn[before.filter((one) => one === -1).length] ?? 0;
}

/**
 * Item `index` of a line: each axis at its place, seeds counted up for repeats as one run's pictures have them.
 * @throws UsageError where an axis has nothing to change
 */
export function itemAt(line: BatchLine, index: number, drawn: LineSeeds): BatchItem {
  const repeat = index % line.repeats;
  let rest = Math.floor(index / line.repeats);
  const places = new Array<number>(line.axes.length).fill(0);
  for (let i = line.axes.length - 1; i >= 0; i -= 1) {
    const size = line.axes[i]?.size ?? 1;
    places[i] = rest % size;
    rest = Math.floor(rest / size);
  }
  const how = { entries: line.wildcards, all: line.allWildcards };
  const labels = new Array<string>(line.axes.length).fill('');
  const chosen: Chosen[] = [];
  let fields: Fields = line.fields;
  let seed = 0;
  for (const stage of [0, 1, 2]) {
    for (const [i, axis] of line.axes.entries()) {
      if (axis.stage !== stage) continue;
      const step = axis.step(places[i] ?? 0, fields, { ...how, seed });
      fields = { ...fields, ...step.fields };
      labels[i] = step.label;
      chosen.push(...(step.chosen ?? []));
    }
    if (stage > 0) continue;
    fields = { ...fields, ...countUp(line, fields, places, repeat, drawn) };
    seed = numberOf(fields.seed, 0);
  }
  const origin: Origin = {
    line: line.line,
    repeat: repeat + 1,
    axes: line.axes.map(({ name, field }, i) => ({
      ...(name === undefined ? {} : { axis: name }),
      field,
      index: places[i] ?? 0,
      label: labels[i] ?? '',
    })),
    ...(chosen.length === 0 ? {} : { chosen }),
    ...(chosen.length === 0 || line.allWildcards ? {} : { seed }),
  };
  return { kind: line.kind, line, index, fields, origin, ...splitFields(line.kind, fields) };
}

/** Seeds as `runSeeds` counts them: with a variation its seed goes up, else the seed. */
function countUp(line: BatchLine, fields: Fields, places: readonly number[], repeat: number, drawn: LineSeeds): Fields {
  const placeOf = (field: string): number => places[line.axes.findIndex((axis) => axis.field === field)] ?? 0;
  const made = repeat * numberOf(fields.batchSize, DEFAULTS.batchSize);
  const seed = numberOf(fields.seed ?? DEFAULTS.seed, Number.NaN);
  if (Number.isNaN(seed)) return {}; // the schema refuses it
  const first = settle(line, 'seed', seed, placeOf('seed'), drawn.seeds);
  if (numberOf(fields.subseedStrength, DEFAULTS.subseedStrength) === 0) return { seed: first + made };
  const subseed = numberOf(fields.subseed ?? DEFAULTS.subseed, Number.NaN);
  if (Number.isNaN(subseed)) return { seed: first };
  return { seed: first, subseed: settle(line, 'subseed', subseed, placeOf('subseed'), drawn.subseeds) + made };
}

/** SHA-256 of all that an item asks for: the same content is the same picture. */
export function contentHash({ kind, request, options, model }: BatchItem): string {
  return createHash('sha256')
    .update(canonicalJson({ kind: kind.name, request, options, model }))
    .digest('hex');
}
