/**
 * A number where the text is one that a double holds as written; otherwise the text, which the schema then refuses by
 * the field's own rule.
 */
export function toNumber(text: string): number | string {
  if (!/^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(text)) return text;
  const value = Number(text);
  const isExact = !/^[+-]?\d+$/.test(text) || Number.isSafeInteger(value);
  return Number.isFinite(value) && isExact ? value : text;
}
