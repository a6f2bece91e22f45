import { basename, extname } from 'node:path';
import { parseCsv } from '../prompt/csv.js';
import { UsageError } from '../request/errors.js';
import { showValue } from '../request/show-value.js';
import { type Fields, readValues } from './field-values.js';
import { fieldOf, fieldType, type RequestKind } from './kinds.js';
import { MAX_VALUES } from './ranges.js';
import { choiceOf, countTexts, parseTemplate, type Resolution, type Template, textAt } from './templates.js';

export const AXIS_NAMES = ['x', 'y', 'z'] as const;
export type AxisName = (typeof AXIS_NAMES)[number];

/** What an axis puts into a request's fields at one of its places, and what is written beside the picture for it. */
export interface AxisStep {
  readonly fields: Fields;
  readonly label: string;
  /** Of texts with alternatives and wildcards: what stood where. */
  readonly chosen?: readonly { readonly place: string; readonly text: string }[];
}

/** Something that differs from picture to picture of one line. */
export interface Axis {
  /** Of declared ones. */
  readonly name: AxisName | undefined;
  /** The field, or the axis's own name where it has none. */
  readonly field: string;
  readonly size: number;
  /** Values, then texts that a seed may decide, then changes of texts: a later stage sees what an earlier one gave. */
  readonly stage: 0 | 1 | 2;
  /** @throws UsageError where the fields have no place for it */
  step(index: number, fields: Fields, how: Resolution): AxisStep;
}

/** Names as the webui writes them beside pictures. */
const TITLES: Readonly<Record<string, string>> = {
  steps: 'Steps',
  sampler: 'Sampler',
  scheduler: 'Schedule type',
  cfgScale: 'CFG Scale',
  seed: 'Seed',
  subseed: 'Var. seed',
  subseedStrength: 'Var. strength',
  clipSkip: 'Clip skip',
  vae: 'VAE',
  styles: 'Styles',
  eta: 'Eta',
  sChurn: 'Sigma Churn',
  sTmin: 'Sigma min',
  sTmax: 'Sigma max',
  sNoise: 'Sigma noise',
  sigmaMin: 'Schedule min sigma',
  sigmaMax: 'Schedule max sigma',
  rho: 'Schedule rho',
  betaDistAlpha: 'Beta schedule alpha',
  betaDistBeta: 'Beta schedule beta',
  rng: 'RNG source',
  uniPcOrder: 'UniPC Order',
  alwaysDiscardNextToLastSigma: 'Always discard next-to-last sigma',
  sgmNoiseMultiplier: 'SGM noise multiplier',
  denoisingStrength: 'Denoising',
  width: 'Width',
  height: 'Height',
  batchSize: 'Batch size',
};

/** Numbers with at most eight decimals, as the webui rounds them. */
function showOne(value: unknown): string {
  if (typeof value === 'number') return String(Math.round(value * 1e8) / 1e8);
  return Array.isArray(value) ? value.map(showOne).join(', ') : String(value);
}

export function labelOf(field: string, value: unknown): string {
  if (field === 'model') {
    const name = basename(String(value));
    return extname(name) === '.safetensors' ? name.slice(0, -'.safetensors'.length) : name;
  }
  return `${TITLES[field] ?? field}: ${showOne(value)}`;
}

/** A field with several values. */
export function valueAxis(name: AxisName | undefined, field: string, values: readonly unknown[]): Axis {
  return {
    name,
    field,
    size: values.length,
    stage: 0,
    step: (index) => ({ fields: { [field]: values[index] }, label: labelOf(field, values[index]) }),
  };
}

/** A text of which alternatives or wildcards leave something open. */
export function templateAxis(field: string, options: readonly Template[], how: Omit<Resolution, 'seed'>): Axis {
  const template = choiceOf(options);
  return {
    name: undefined,
    field,
    size: countTexts(template, how),
    stage: 1,
    step: (index, _, resolution) => {
      const { text, chosen } = textAt(template, index, resolution);
      return { fields: { [field]: text }, label: chosen[0]?.text ?? text, chosen };
    },
  };
}

const PROMPTS = ['prompt', 'negativePrompt'] as const;

/** The webui's Prompt S/R: the first text is looked for, and each takes its place in turn. */
function replaceAxis(name: AxisName, texts: readonly string[]): Axis {
  const [wanted = ''] = texts;
  if (wanted === '') throw new UsageError('Prompt S/R needs a text to look for, then those that take its place');
  return {
    name,
    // Several replace different texts.
    field: `Prompt S/R of ${showValue(wanted)}`,
    size: texts.length,
    stage: 2,
    step: (index, fields) => {
      const found = PROMPTS.filter((field) => String(fields[field] ?? '').includes(wanted));
      if (found.length === 0) throw new UsageError(`Prompt S/R: ${showValue(wanted)} is in neither prompt`);
      const text = texts[index] ?? '';
      const changed = found.map((field) => [field, String(fields[field]).replaceAll(wanted, () => text)]);
      return { fields: Object.fromEntries(changed), label: text };
    },
  };
}

/** The webui's Prompt order: words of the prompt in every order that they can have. */
function orderAxis(name: AxisName, words: readonly string[]): Axis {
  const size = words.reduce((product, _, i) => product * (i + 1), 1);
  if (size > MAX_VALUES)
    throw new UsageError(`Prompt order of ${words.length} texts is ${size} orders; at most ${MAX_VALUES}`);
  return {
    name,
    field: 'Prompt order',
    size,
    stage: 2,
    step: (index, fields) => {
      const order = permutation(words, index);
      return { fields: { prompt: reorder(String(fields.prompt ?? ''), order) }, label: order.join(', ') };
    },
  };
}

/** Permutation number `index` in the order of itertools.permutations. */
function permutation(words: readonly string[], index: number): string[] {
  const left = [...words];
  let rest = index;
  return words.map((_, place) => {
    const block = Array.from({ length: words.length - 1 - place }, (_, i) => i + 1).reduce((a, b) => a * b, 1);
    const [word = ''] = left.splice(Math.floor(rest / block), 1);
    rest %= block;
    return word;
  });
}

/** The words of `order` in the places that they have in the prompt, first to last. */
function reorder(prompt: string, order: readonly string[]): string {
  const places = order.map((word) => ({ word, at: prompt.indexOf(word) })).sort((a, b) => a.at - b.at);
  let rest = prompt;
  let text = '';
  for (const [i, { word }] of places.entries()) {
    const at = rest.indexOf(word);
    if (at < 0) throw new UsageError(`Prompt order: ${showValue(word)} is not in the prompt`);
    text += rest.slice(0, at) + (order[i] ?? '');
    rest = rest.slice(at + word.length);
  }
  return text + rest;
}

function sizeAxis(name: AxisName, texts: readonly string[]): Axis {
  const sizes = texts.map((text) => {
    const match = /^(\d{1,6})\s*[x×]\s*(\d{1,6})$/i.exec(text);
    if (match === null) throw new UsageError(`a size is written 512x768; ${showValue(text)} is not`);
    return { width: Number(match[1]), height: Number(match[2]) };
  });
  return {
    name,
    field: 'Size',
    size: sizes.length,
    stage: 0,
    step: (index) => {
      const { width = 0, height = 0 } = sizes[index] ?? {};
      return { fields: { width, height }, label: `Size: ${width}x${height}` };
    },
  };
}

/** Axes that are no field's. */
const SPECIAL: Readonly<Record<string, (name: AxisName, texts: readonly string[]) => Axis>> = {
  promptsr: replaceAxis,
  promptorder: orderAxis,
  size: sizeAxis,
};

/** Texts as the webui splits them: joined by commas, with quotes around those that hold one. */
export function splitTexts(text: string): string[] {
  return parseCsv(text).flatMap((row) => row.map((one) => one.trim()));
}

function textsOf(values: unknown, what: string): string[] {
  const texts = typeof values === 'string' ? splitTexts(values) : Array.isArray(values) ? values.map(String) : [];
  if (texts.length === 0) throw new UsageError(`${what} needs values`);
  if (texts.length > MAX_VALUES)
    throw new UsageError(`${what} has ${texts.length} values; an axis has at most ${MAX_VALUES}`);
  return texts;
}

/**
 * A declared axis: a field or "Prompt S/R", "Prompt order", "Size", and its values as a list or in the webui's syntax.
 * @throws UsageError
 */
export function declareAxis(name: AxisName, subject: string, values: unknown, kind: RequestKind): Axis {
  const what = `axis ${name} (${subject})`;
  const special = SPECIAL[subject.toLowerCase().replace(/[^a-z]/g, '')];
  if (special !== undefined) return special(name, textsOf(values, what));
  const field = fieldOf(subject);
  if (field === 'count' || field === 'kind' || field === 'axes')
    throw new UsageError(`${field} cannot be an axis`, field);
  const type = fieldType(kind, field);
  const isListOfTexts =
    typeof values === 'string' && ['text', 'choice', 'boolean', 'texts', 'numbers'].includes(type.kind);
  const given = isListOfTexts ? splitTexts(values) : values;
  const read = readValues(
    type,
    Array.isArray(given) && ['texts', 'numbers'].includes(type.kind) ? given.map(asList) : given,
  );
  if (read.length === 0) throw new UsageError(`${what} needs values`);
  return valueAxis(name, field, read);
}

/** One value of an axis over a field that is a list. */
const asList = (value: unknown): unknown =>
  Array.isArray(value) ? value : typeof value === 'string' ? [value] : value;

/**
 * `x`, `y` and `z` of a line or a file: {x: {steps: "10-30 (+5)"}, y: {sampler: [Euler, Heun]}}; or a text "steps=10,20".
 * @throws UsageError
 */
export function readAxes(declared: unknown, kind: RequestKind): Axis[] {
  if (typeof declared !== 'object' || declared === null || Array.isArray(declared)) {
    throw new UsageError(`axes is an object with x, y or z; ${showValue(declared)} is not`, 'axes');
  }
  return Object.entries(declared).map(([name, axis]) => {
    const found = AXIS_NAMES.find((one) => one === name.toLowerCase());
    if (found === undefined) throw new UsageError(`axes has x, y and z; ${showValue(name)} is none of them`, 'axes');
    const [subject, values] = readAxis(found, axis);
    return declareAxis(found, subject, values, kind);
  });
}

function readAxis(name: AxisName, axis: unknown): readonly [string, unknown] {
  const sign = typeof axis === 'string' ? axis.indexOf('=') : -1;
  if (typeof axis === 'string' && sign > 0) return [axis.slice(0, sign).trim(), axis.slice(sign + 1).trim()];
  const entries = typeof axis === 'object' && axis !== null && !Array.isArray(axis) ? Object.entries(axis) : [];
  const [only] = entries;
  if (only !== undefined && entries.length === 1) return only;
  throw new UsageError(
    `axis ${name} is written as field=values, e.g. steps=10-30 (+5); ${showValue(axis)} is not`,
    'axes',
  );
}

/** A text's template; without alternatives and wildcards a text alone. */
export function readTemplate(
  text: string,
  options: { readonly literal: boolean; readonly wildcards: boolean },
): Template {
  return options.literal ? { parts: [{ kind: 'text', text }] } : parseTemplate(text, options.wildcards);
}
