import { UsageError } from '../request/errors.js';
import { LIMITS } from '../request/limits.js';
import { column, fieldLabel, type PromptField } from './position.js';
import { PYTHON_SPACE, trimEnd, trimStart } from './white-space.js';

export type { PromptField } from './position.js';

/** A stretch of text of one weight, or the end of a chunk. */
export type PromptPart =
  | { readonly kind: 'text'; readonly text: string; readonly weight: number }
  | { readonly kind: 'break' };

/** Each open bracket multiplies all that follows, so nesting is bounded; 1.1 to this power is 4e10. */
export const MAX_BRACKET_DEPTH = 256;

const ROUND = 1.1;
const SQUARE = 1 / 1.1;
const BREAK_WEIGHT = -1;

const BREAK_WORD = /(?<![\p{L}\p{N}_])BREAK(?![\p{L}\p{N}_])/u;
const TOKEN = new RegExp(
  `\\\\[()[\\]\\\\]|\\\\|\\(|\\[|:[${PYTHON_SPACE}]*([+-]?[.\\d]+)[${PYTHON_SPACE}]*\\)|\\)|\\]|[^\\\\()[\\]:]+|:`,
  'gu',
);

interface Run {
  text: string;
  weight: number;
}

/**
 * Splits a prompt into weighted stretches: `(x)` times 1.1, `[x]` divided by 1.1, `(x:w)` times w, a backslash before a
 * bracket or a backslash makes it literal, `BREAK` as a word of its own ends a chunk. Unclosed brackets run to the end,
 * unmatched closers are literal.
 * A BREAK inside a weighted bracket is no break but the word itself at minus the bracket's weight, as the webui has it.
 * @throws UsageError for a prompt that is too long or too deep, and for a weight that is no finite number.
 */
export function parseAttention(text: string, field: PromptField = 'prompt'): PromptPart[] {
  if (text.length > LIMITS.promptCharacters) {
    throw new UsageError(
      `the ${fieldLabel(field)} has ${text.length} characters, more than the limit of ${LIMITS.promptCharacters}; shorten it`,
      field,
    );
  }
  return mergeEqual(weigh(text, field)).map((run) => toPart(run, field));
}

function weigh(text: string, field: PromptField): Run[] {
  const runs: Run[] = [];
  const round: number[] = [];
  const square: number[] = [];
  const multiplyFrom = (start: number, factor: number): void => {
    for (const run of runs.slice(start)) run.weight *= factor;
  };
  for (const match of text.matchAll(TOKEN)) {
    const [token, number] = match;
    if (token.startsWith('\\')) {
      runs.push({ text: token.slice(1), weight: 1 });
    } else if (token === '(' || token === '[') {
      (token === '(' ? round : square).push(runs.length);
      if (round.length + square.length > MAX_BRACKET_DEPTH) {
        throw new UsageError(
          `the brackets of the ${fieldLabel(field)} are nested deeper than ${MAX_BRACKET_DEPTH} at column ${column(text, match.index)}; ` +
            'close them, or write \\( and \\[ for literal brackets',
          field,
        );
      }
    } else {
      const closesRound = token.endsWith(')');
      const start = closesRound ? round.pop() : token === ']' ? square.pop() : undefined;
      if (start === undefined) pushText(runs, token);
      else if (number !== undefined) multiplyFrom(start, parseWeight(number, text, match.index + 1, field));
      else multiplyFrom(start, closesRound ? ROUND : SQUARE);
    }
  }
  for (const start of round) multiplyFrom(start, ROUND);
  for (const start of square) multiplyFrom(start, SQUARE);
  return runs.length === 0 ? [{ text: '', weight: 1 }] : runs;
}

/** Text outside brackets' syntax, split at each BREAK, which also eats the white space around it. */
function pushText(runs: Run[], text: string): void {
  const pieces = text.split(BREAK_WORD);
  for (const [index, piece] of pieces.entries()) {
    if (index > 0) runs.push({ text: 'BREAK', weight: BREAK_WEIGHT });
    const head = index > 0 ? trimStart(piece) : piece;
    runs.push({ text: index < pieces.length - 1 ? trimEnd(head) : head, weight: 1 });
  }
}

function parseWeight(number: string, text: string, index: number, field: PromptField): number {
  const value = /^[+-]?(?:\d+\.?\d*|\.\d+)$/.test(number) ? Number(number) : Number.NaN;
  if (!Number.isFinite(Math.fround(value))) {
    const shown = number.length > 32 ? `${number.slice(0, 29)}...` : number;
    throw new UsageError(
      `the weight "${shown}" at column ${column(text, index)} of the ${fieldLabel(field)} is not a usable number; write e.g. (word:1.2)`,
      field,
    );
  }
  return value;
}

function mergeEqual(runs: readonly Run[]): Run[] {
  const merged: Run[] = [];
  for (const run of runs) {
    const last = merged.at(-1);
    if (last !== undefined && last.weight === run.weight) last.text += run.text;
    else merged.push({ ...run });
  }
  return merged;
}

function toPart(run: Run, field: PromptField): PromptPart {
  if (run.text === 'BREAK' && run.weight === BREAK_WEIGHT) return { kind: 'break' };
  if (!Number.isFinite(Math.fround(run.weight))) {
    const word = run.text.trim().slice(0, 32);
    throw new UsageError(
      `the weights around "${word}" in the ${fieldLabel(field)} multiply to more than a number can hold; use smaller ones`,
      field,
    );
  }
  return { kind: 'text', text: run.text, weight: run.weight };
}
