const SHOWN_CHARACTERS = 40;

/** A value as an error message shows it: short, on one line, strings quoted unless they are one plain word. */
export function showValue(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value !== 'string') return typeof value === 'object' && value !== null ? 'an object' : String(value);
  const short = value.length > SHOWN_CHARACTERS ? `${value.slice(0, SHOWN_CHARACTERS)}…` : value;
  // Control characters would steer the terminal; JSON escapes those below U+0020 only.
  return /^[\w.+…-]+$/.test(short) ? short : JSON.stringify(short).replace(/\p{Cc}/gu, '\uFFFD');
}
