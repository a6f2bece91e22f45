/**
 * Unicode's White_Space as the inside of a character class, spelled out: JavaScript's `\s` has U+FEFF and lacks U+0085.
 */
export const WHITE_SPACE = '\\t-\\r\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';

/** What Python's `\s` and `str.strip` take for space: also U+001C … U+001F. */
export const PYTHON_SPACE = `\\x1c-\\x1f${WHITE_SPACE}`;

const IS_SPACE = new RegExp(`[${PYTHON_SPACE}]`, 'u');

/** Without the space at its start. A loop, since patterns with `$` retry at each space of a long run. */
export function trimStart(text: string): string {
  let start = 0;
  while (start < text.length && IS_SPACE.test(text.charAt(start))) start += 1;
  return text.slice(start);
}

/** Without the space at its end. */
export function trimEnd(text: string): string {
  let end = text.length;
  while (end > 0 && IS_SPACE.test(text.charAt(end - 1))) end -= 1;
  return text.slice(0, end);
}
