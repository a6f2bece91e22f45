/** The coverage gate: one number for vitest's configuration and for the test run's own count. */

/** Least share of the lines of src/ that in-process tests must run, in per cent. */
export const COVERAGE_LINES = 90;

/**
 * Why a coverage summary does not pass, or undefined if it does. A summary of no lines fails: it measured nothing.
 * @param {{ total?: { lines?: { total?: number, pct?: number | string } } } | undefined} summary coverage-summary.json
 * @returns {string | undefined}
 */
export function coverageProblem(summary) {
  const lines = summary?.total?.lines;
  if (lines === undefined) return 'no coverage was measured';
  if (!lines.total || typeof lines.pct !== 'number') return 'the coverage report has no lines of src/';
  return lines.pct < COVERAGE_LINES ? `${lines.pct} % of lines are covered, ${COVERAGE_LINES} % are needed` : undefined;
}
