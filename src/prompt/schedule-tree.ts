import { UsageError } from '../request/errors.js';
import { MAX_BRACKET_DEPTH } from './grammar.js';
import { column, fieldLabel, type PromptField } from './position.js';
import { PYTHON_SPACE } from './white-space.js';

/** A stretch of a prompt: text, `[before:after:when]`, or `[a|b]`. */
export type ScheduleNode = string | ScheduleEdit | ScheduleAlternation;

export interface ScheduleEdit {
  readonly kind: 'edit';
  readonly before: readonly ScheduleNode[];
  readonly after: readonly ScheduleNode[];
  /** The number as it stands there: with a "." it is a share of the steps. */
  readonly when: string;
}

export interface ScheduleAlternation {
  readonly kind: 'alternation';
  readonly items: readonly (readonly ScheduleNode[])[];
}

/** SIGNED_NUMBER of the webui's grammar, with the space it allows around it. */
const WHEN = new RegExp(
  `^[${PYTHON_SPACE}]*([+-]?(?:\\d+(?:\\.\\d*)?|\\.\\d+)(?:[eE][+-]?\\d+)?)[${PYTHON_SPACE}]*$`,
  'u',
);

/** An open bracket: what stands between it and its end, cut at the colons and pipes of its own level. */
interface Open {
  readonly bracket: '(' | '[';
  readonly segments: ScheduleNode[][];
  readonly separators: string[];
}

/**
 * The schedule layer of a prompt, which comes before the attention layer and takes from it the square brackets that end
 * in a number or hold a pipe. A bracket is one of its forms only if all brackets in it are closed and are forms too;
 * else its characters are text. What has no meaning anywhere makes the whole prompt text, as in the webui: a pipe
 * outside of an alternation, a backslash at the end of the text or of a line.
 * @returns undefined for a prompt that is text as a whole
 * @throws UsageError for brackets nested deeper than MAX_BRACKET_DEPTH
 */
export function parseSchedule(text: string, field: PromptField): ScheduleNode[] | undefined {
  const root: ScheduleNode[] = [];
  let open: Open[] = [];
  /** Gives up all open brackets: their characters are text. False where that text has no meaning. */
  const giveUp = (): boolean => {
    const isText = open.every(({ separators }) => !separators.includes('|'));
    for (const bracket of open) appendPlain(root, bracket);
    open = [];
    return isText;
  };
  for (const { 0: token, index } of text.matchAll(/\\[^\n]|[^\\()[\]:|]+|[\\()[\]:|]/gu)) {
    const top = open.at(-1);
    const current = top?.segments.at(-1) ?? root;
    if (token === '\\') return undefined;
    if (token === '(' || token === '[') {
      open.push({ bracket: token, segments: [[]], separators: [] });
      if (open.length > MAX_BRACKET_DEPTH) throw tooDeep(text, index, field);
    } else if (token === ')' || token === ']') {
      const closes = top !== undefined && (top.bracket === '(') === (token === ')');
      const form = closes ? closeBracket(top) : undefined;
      if (form !== undefined) {
        open.pop();
        const parent = open.at(-1)?.segments.at(-1) ?? root;
        for (const node of form) append(parent, node);
      } else {
        if (!giveUp()) return undefined;
        append(root, token);
      }
    } else if ((token === ':' || token === '|') && top !== undefined) {
      top.separators.push(token);
      top.segments.push([]);
    } else if (token === '|') {
      return undefined;
    } else {
      append(current, token);
    }
  }
  return giveUp() ? root : undefined;
}

function tooDeep(text: string, index: number, field: PromptField): UsageError {
  return new UsageError(
    `the brackets of the ${fieldLabel(field)} are nested deeper than ${MAX_BRACKET_DEPTH} at column ${column(text, index)}; ` +
      'close them, or write \\( and \\[ for literal brackets',
    field,
  );
}

/** The form that a bracket is; undefined where it is none. */
function closeBracket({ bracket, segments, separators }: Open): ScheduleNode[] | undefined {
  const [first = [], ...rest] = segments;
  if (bracket === '(') {
    if (separators.length > 1 || separators[0] === '|') return undefined;
    return ['(', ...first, ...rest.flatMap((segment) => [':', ...segment]), ')'];
  }
  if (separators.length === 0) return ['[', ...first, ']'];
  if (separators.every((separator) => separator === '|')) return [{ kind: 'alternation', items: segments }];
  if (separators.includes('|') || separators.length > 2) return undefined;
  const last = segments.at(-1) ?? [];
  const when = last.length === 1 && typeof last[0] === 'string' ? WHEN.exec(last[0])?.[1] : undefined;
  if (when === undefined) return undefined;
  const isRemoval = separators.length === 2;
  return [{ kind: 'edit', before: isRemoval ? first : [], after: isRemoval ? (segments[1] ?? []) : first, when }];
}

function appendPlain(to: ScheduleNode[], { bracket, segments, separators }: Open): void {
  append(to, bracket);
  for (const [i, segment] of segments.entries()) {
    if (i > 0) append(to, separators[i - 1] ?? '');
    for (const node of segment) append(to, node);
  }
}

/** Neighbouring text is kept as one, so that brackets in brackets cost no more than their own forms. */
function append(to: ScheduleNode[], node: ScheduleNode): void {
  const last = to.length - 1;
  if (typeof node === 'string' && typeof to[last] === 'string') to[last] += node;
  else to.push(node);
}
