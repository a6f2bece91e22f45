import { distance } from 'fastest-levenshtein';

/**
 * Up to `limit` known names that resemble `name` (ignoring case), nearest first: at most a third of the longer name
 * may differ, or one must begin with the other.
 */
export function nearestNames(name: string, known: readonly string[], limit = 3): string[] {
  const wanted = name.toLowerCase();
  return known
    .map((candidate) => ({ candidate, lower: candidate.toLowerCase() }))
    .map(({ candidate, lower }) => ({ candidate, lower, edits: distance(wanted, lower) }))
    .filter(
      ({ lower, edits }) =>
        edits <= Math.ceil(Math.max(wanted.length, lower.length) / 3) ||
        (wanted.length > 1 && (lower.startsWith(wanted) || wanted.startsWith(lower))),
    )
    .sort((a, b) => a.edits - b.edits)
    .slice(0, limit)
    .map(({ candidate }) => candidate);
}

/** "; did you mean a, b?" or nothing. */
export function didYouMean(name: string, known: readonly string[]): string {
  const near = nearestNames(name, known);
  return near.length === 0 ? '' : `; did you mean ${near.join(' or ')}?`;
}
