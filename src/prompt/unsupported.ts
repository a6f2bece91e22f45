import { UsageError } from '../request/errors.js';
import { column, fieldLabel, type PromptField } from './position.js';

export type { PromptField } from './position.js';

interface Finding {
  readonly index: number;
  /** What it is, and how to write it literally where that is possible. */
  readonly what: string;
}

const AND_WORD = /(?<![\p{L}\p{N}_])AND(?![\p{L}\p{N}_])/u;
const NETWORK_NAME = /<([\p{L}\p{N}_]+):/gu;
const NETWORKS = new Set(['lora', 'lyco', 'hypernet']);
/** SIGNED_NUMBER of the webui's grammar. */
const SCHEDULE_NUMBER = /^\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?\s*$/u;
const LITERAL = 'write \\[ and \\] for literal brackets';

/**
 * Refuses syntax that has a meaning of its own and is not built yet, instead of giving it to the tokenizer as text:
 * `[from:to:when]`, `[to:when]`, `[from::when]`, `[a|b]`, the word AND (positive prompt only) and extra networks such
 * as `<lora:name:1>`. Refused is all that the webui's schedule layer takes, and any other closed square bracket that
 * has a `|` or ends in `:number`, which is more likely a slip than text.
 * @throws UsageError naming the first such construct and its column.
 */
export function refuseUnsupported(text: string, field: PromptField): void {
  const findings = [
    findSchedule(text),
    findNetwork(text, field),
    field === 'prompt' ? findComposition(text) : undefined,
  ];
  const first = findings
    .filter((finding) => finding !== undefined)
    .reduce<Finding | undefined>((a, b) => (a === undefined || b.index < a.index ? b : a), undefined);
  if (first === undefined) return;
  const where = `${fieldLabel(field)}, column ${column(text, first.index)}`;
  throw new UsageError(`${where}: ${first.what}`, field);
}

interface OpenBracket {
  readonly square: boolean;
  readonly index: number;
  colons: number;
  /** Index after the last colon of this bracket's own level. */
  afterColon: number;
  hasPipe: boolean;
}

/** The square bracket that starts first among those that closed as a schedule or an alternation. */
function findSchedule(text: string): Finding | undefined {
  const open: OpenBracket[] = [];
  let found: Finding | undefined;
  for (let i = 0; i < text.length; i += 1) {
    const character = text[i];
    const top = open.at(-1);
    if (character === '\\') i += 1;
    else if (character === '(' || character === '[') {
      open.push({ square: character === '[', index: i, colons: 0, afterColon: 0, hasPipe: false });
    } else if (character === ':' && top !== undefined) {
      top.colons += 1;
      top.afterColon = i + 1;
    } else if (character === '|' && top !== undefined) top.hasPipe = true;
    else if (character === ')' || character === ']') {
      const closed = popTo(open, character === ']');
      const what = closed === undefined ? undefined : describeSquare(closed, text, i);
      if (closed !== undefined && what !== undefined && (found === undefined || closed.index < found.index)) {
        found = { index: closed.index, what };
      }
    }
  }
  return found;
}

/** Takes the nearest bracket of that kind, and those left open inside it, off the stack. */
function popTo(open: OpenBracket[], square: boolean): OpenBracket | undefined {
  const position = open.findLastIndex((bracket) => bracket.square === square);
  return position < 0 ? undefined : open.splice(position)[0];
}

function describeSquare(bracket: OpenBracket, text: string, end: number): string | undefined {
  if (!bracket.square) return undefined;
  const shown = excerpt(text, bracket.index, end + 1);
  if (bracket.hasPipe) return `alternation ${shown} is not built yet; ${LITERAL}`;
  // A number is short; a longer stretch need not be looked at.
  const isSchedule =
    bracket.colons > 0 && end - bracket.afterColon <= 64 && SCHEDULE_NUMBER.test(text.slice(bracket.afterColon, end));
  return isSchedule ? `prompt scheduling ${shown} is not built yet; ${LITERAL}` : undefined;
}

function findNetwork(text: string, field: PromptField): Finding | undefined {
  const lastClose = text.lastIndexOf('>');
  for (const match of text.matchAll(NETWORK_NAME)) {
    const body = match.index + match[0].length;
    const name = match[1] ?? '';
    // Any name is a tag to the webui in a positive prompt, which drops those it does not know without a trace.
    const counts = field === 'prompt' || NETWORKS.has(name.toLowerCase());
    if (!counts || lastClose <= body || text[body] === '>') continue;
    const shown = excerpt(text, match.index, text.indexOf('>', body) + 1);
    return { index: match.index, what: `the extra network ${shown} is not built yet; remove it` };
  }
  return undefined;
}

function findComposition(text: string): Finding | undefined {
  const match = AND_WORD.exec(text);
  if (match === null) return undefined;
  return { index: match.index, what: 'composition with AND is not built yet; write "and" for the word' };
}

function excerpt(text: string, start: number, end: number): string {
  const shown = end - start > 48 ? `${text.slice(start, start + 45)}...` : text.slice(start, end);
  return JSON.stringify(shown);
}
