import { createHash } from 'node:crypto';
import { UsageError } from '../request/errors.js';
import { showValue } from '../request/show-value.js';

/** A text with places that may hold one of several texts. */
export interface Template {
  readonly parts: readonly TemplatePart[];
}

export type TemplatePart =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'choice'; readonly options: readonly Template[] }
  | { readonly kind: 'wildcard'; readonly name: string };

/** What stands behind the names of wildcards, read already. None leads to itself. */
export interface Entries {
  of(name: string): readonly Template[];
  /** How many texts all entries of it stand for. */
  countOf(name: string): number;
}

/** How a template becomes a text. */
export interface Resolution {
  readonly entries: Entries;
  /** Whether every entry of a wildcard is wanted; else one, by `seed`. */
  readonly all: boolean;
  /** Decides what is drawn: the same seed draws the same. */
  readonly seed: number;
}

/** What stood in a place: `{a|b}` or `__name__`, and the text that took it. */
export interface Chosen {
  readonly place: string;
  readonly text: string;
}

export interface ResolvedText {
  readonly text: string;
  readonly chosen: readonly Chosen[];
}

/** Braces within braces. */
export const MAX_DEPTH = 16;

/** A name has no dots at the start of a part, so that it stays below the folder of wildcards. */
const WILDCARD = /__([A-Za-z0-9][A-Za-z0-9 _.-]*?(?:\/[A-Za-z0-9][A-Za-z0-9 _.-]*?)*)__/y;

/** What other tools' braces hold besides alternatives: how many to take, and weights. */
const FOREIGN = /^\s*(?:\d*(?:-\d*)?\$\$|\d+(?:\.\d+)?::)/;

/**
 * Reads `{a|b}` and `__name__`; `\{`, `\|` and `\}` are the characters themselves, and braces without a bar stay as they
 * are. Alternatives may hold further ones.
 * @param wildcards whether `__name__` means anything
 * @throws UsageError for weights and counts in braces, which are not built, and for braces too deep
 */
export function parseTemplate(text: string, wildcards: boolean): Template {
  return new Reader(text, wildcards).all();
}

class Reader {
  #at = 0;

  constructor(
    readonly source: string,
    readonly wildcards: boolean,
  ) {}

  all(): Template {
    const parts: TemplatePart[] = [];
    while (this.#at < this.source.length) {
      parts.push(...this.#sequence(0, '').parts);
      if (this.#at < this.source.length) parts.push(this.#character()); // a brace that closes nothing
    }
    return { parts: joinTexts(parts) };
  }

  /** Up to one of `ends`, which stays. */
  #sequence(depth: number, ends: string): Template {
    if (depth > MAX_DEPTH) throw new UsageError(`braces may be nested ${MAX_DEPTH} deep, not deeper`);
    const parts: TemplatePart[] = [];
    while (this.#at < this.source.length) {
      const character = this.source[this.#at] ?? '';
      if (ends.includes(character)) break;
      const escaped = /^\\([{}|])/.exec(this.source.slice(this.#at, this.#at + 2))?.[1];
      if (escaped !== undefined && (escaped !== '|' || depth > 0)) {
        parts.push({ kind: 'text', text: escaped });
        this.#at += 2;
      } else if (character === '{') {
        parts.push(...this.#braces(depth));
      } else {
        parts.push(this.#wildcard() ?? this.#character());
      }
    }
    return { parts: joinTexts(parts) };
  }

  #character(): TemplatePart {
    this.#at += 1;
    return { kind: 'text', text: this.source[this.#at - 1] ?? '' };
  }

  #wildcard(): TemplatePart | undefined {
    if (!this.wildcards || !this.source.startsWith('__', this.#at)) return undefined;
    WILDCARD.lastIndex = this.#at;
    const name = WILDCARD.exec(this.source)?.[1];
    if (name === undefined) return undefined;
    this.#at = WILDCARD.lastIndex;
    return { kind: 'wildcard', name };
  }

  /** From a brace on: a choice, or what is between braces without a bar, or a brace that nothing closes. */
  #braces(depth: number): TemplatePart[] {
    const start = this.#at;
    const options: Template[] = [];
    const begins: number[] = [];
    do {
      this.#at += 1;
      begins.push(this.#at);
      options.push(this.#sequence(depth + 1, '|}'));
    } while (this.source[this.#at] === '|');
    if (this.source[this.#at] !== '}') {
      const inside = options.flatMap(({ parts }, i): TemplatePart[] =>
        i === 0 ? [...parts] : [{ kind: 'text', text: '|' }, ...parts],
      );
      return [{ kind: 'text', text: '{' }, ...inside];
    }
    this.#at += 1;
    if (options.length < 2) {
      return [{ kind: 'text', text: '{' }, ...(options[0]?.parts ?? []), { kind: 'text', text: '}' }];
    }
    if (begins.some((at) => FOREIGN.test(this.source.slice(at, at + 24)))) {
      throw new UsageError(
        `${showValue(this.source.slice(start, this.#at))} has weights or a number of alternatives to take, which are ` +
          'not supported: alternatives are texts joined by |',
      );
    }
    return [{ kind: 'choice', options }];
  }
}

function joinTexts(parts: readonly TemplatePart[]): TemplatePart[] {
  const joined: TemplatePart[] = [];
  for (const part of parts) {
    const last = joined.at(-1);
    if (part.kind === 'text' && last?.kind === 'text') {
      joined[joined.length - 1] = { kind: 'text', text: last.text + part.text };
    } else if (part.kind !== 'text' || part.text !== '') {
      joined.push(part);
    }
  }
  return joined;
}

/** One of several texts, as a template. */
export function choiceOf(options: readonly Template[]): Template {
  return options.length === 1 && options[0] !== undefined ? options[0] : { parts: [{ kind: 'choice', options }] };
}

/** The wildcards that a template names itself. */
export function wildcardNames({ parts }: Template): string[] {
  return parts.flatMap((part) =>
    part.kind === 'wildcard' ? [part.name] : part.kind === 'choice' ? part.options.flatMap(wildcardNames) : [],
  );
}

/** A template's text where it has but one. */
export function onlyText({ parts }: Template): string | undefined {
  if (parts.length === 0) return '';
  return parts.length === 1 && parts[0]?.kind === 'text' ? parts[0].text : undefined;
}

/** How many texts a template stands for; Infinity where doubles end. */
export function countTexts(template: Template, how: Pick<Resolution, 'entries' | 'all'>): number {
  return template.parts.reduce((product, part) => product * countPart(part, how), 1);
}

function countPart(part: TemplatePart, how: Pick<Resolution, 'entries' | 'all'>): number {
  if (part.kind === 'text') return 1;
  if (part.kind === 'wildcard') return how.all ? how.entries.countOf(part.name) : 1;
  return part.options.reduce((sum, option) => sum + countTexts(option, how), 0);
}

/** Text number `index` of `countTexts`; the last place changes fastest. */
export function textAt(template: Template, index: number, how: Resolution): ResolvedText {
  return new Resolver(how).at(template, index);
}

class Resolver {
  /** How often each place was drawn: two of one name draw independently. */
  readonly #draws = new Map<string, number>();

  constructor(readonly how: Resolution) {}

  at({ parts }: Template, index: number): ResolvedText {
    const sizes = parts.map((part) => countPart(part, this.how));
    const digits = new Array<number>(parts.length).fill(0);
    let rest = index;
    for (let i = parts.length - 1; i >= 0; i -= 1) {
      digits[i] = rest % (sizes[i] ?? 1);
      rest = Math.floor(rest / (sizes[i] ?? 1));
    }
    return joinResolved(parts.map((part, i) => this.#partAt(part, digits[i] ?? 0)));
  }

  #partAt(part: TemplatePart, index: number): ResolvedText {
    if (part.kind === 'text') return { text: part.text, chosen: [] };
    if (part.kind === 'wildcard' && !this.how.all) return this.#draw(part);
    const options = this.#options(part);
    let rest = index;
    for (const option of options) {
      const size = countTexts(option, this.how);
      if (rest < size) return chose(part, this.at(option, rest));
      rest -= size;
    }
    throw new RangeError(`there is no alternative ${index}`);
  }

  #options(part: Exclude<TemplatePart, { kind: 'text' }>): readonly Template[] {
    return part.kind === 'wildcard' ? this.how.entries.of(part.name) : part.options;
  }

  /** One at random, and at random what it leaves open itself. */
  #draw(part: TemplatePart): ResolvedText {
    if (part.kind === 'text') return { text: part.text, chosen: [] };
    const options = this.#options(part);
    const place = placeOf(part);
    const times = this.#draws.get(place) ?? 0;
    this.#draws.set(place, times + 1);
    const { parts } = options[drawBelow(options.length, this.how.seed, place, times)] ?? { parts: [] };
    return chose(part, joinResolved(parts.map((inner) => this.#draw(inner))));
  }
}

const placeOf = (part: TemplatePart): string => (part.kind === 'wildcard' ? `__${part.name}__` : '{|}');

function chose(part: TemplatePart, { text, chosen }: ResolvedText): ResolvedText {
  return { text, chosen: [{ place: placeOf(part), text }, ...chosen] };
}

function joinResolved(parts: readonly ResolvedText[]): ResolvedText {
  return { text: parts.map(({ text }) => text).join(''), chosen: parts.flatMap(({ chosen }) => chosen) };
}

/** A number below `bound` that depends on the seed and the place alone: the head of a SHA-256, modulo. */
function drawBelow(bound: number, seed: number, place: string, times: number): number {
  const digest = createHash('sha256').update(`${seed}\n${place}\n${times}`).digest();
  return Number(digest.readBigUInt64BE(0) % BigInt(bound));
}
