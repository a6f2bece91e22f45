import { UsageError } from '../request/errors.js';
import { LIMITS } from '../request/limits.js';
import { PYTHON_SPACE, trimEnd, trimStart } from './white-space.js';

/** One of the prompts that AND joins. */
export interface ComposedPrompt {
  readonly text: string;
  /** Its share in the guidance: 1 unless the text ended in `:number`. */
  readonly weight: number;
}

const AND_WORD = /(?<![\p{L}\p{N}_])AND(?![\p{L}\p{N}_])/u;
const WEIGHT = new RegExp(`^[${PYTHON_SPACE}]*([+-]?(?:\\d+\\.?|\\d*\\.\\d+))$`, 'u');

/**
 * Splits a positive prompt at the word AND. A part that ends in `:number` has that weight, as has a prompt without AND;
 * space at a part's end goes, at its start it stays.
 * @throws UsageError for too many parts, and for a weight that float32 cannot hold
 */
export function splitComposition(prompt: string): ComposedPrompt[] {
  const parts = prompt.split(AND_WORD);
  if (parts.length > LIMITS.promptParts) {
    throw new UsageError(
      `AND joins ${parts.length} prompts, each an evaluation of its own at every step; the limit is ${LIMITS.promptParts}`,
      'prompt',
    );
  }
  return parts.map(readPart);
}

function readPart(part: string): ComposedPrompt {
  const trimmed = trimEnd(part);
  const colon = trimmed.lastIndexOf(':');
  const number = colon < 0 ? undefined : WEIGHT.exec(trimmed.slice(colon + 1))?.[1];
  if (number === undefined) return { text: trimmed, weight: 1 };
  const weight = Number(number);
  const text = trimEnd(trimmed.slice(0, colon));
  if (Number.isFinite(Math.fround(weight * LIMITS.cfgScale.max))) return { text, weight };
  throw new UsageError(
    `the weight ":${number.slice(0, 32)}" at the end of "${trimStart(text).slice(0, 32)}" is too large; write e.g. "a cat :1.2 AND a dog"`,
    'prompt',
  );
}
