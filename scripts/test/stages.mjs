/** The stages of `npm test`: each runs a tool and says how many checks passed and failed. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { coverageProblem } from '../coverage-gate.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const bin = (/** @type {string} */ name) => join(ROOT, 'node_modules', '.bin', name);

/**
 * @typedef {{ passed: number, failed: number, note?: string }} Outcome
 * @typedef {{ name: string, run: () => Promise<Outcome> }} Stage
 */

/**
 * Runs a program in the project's folder with its output shown; gives exit code and standard output.
 * @param {string} program @param {string[]} args
 * @returns {Promise<{ code: number, stdout: string, problem?: string }>}
 */
function show(program, args) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] });
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text;
      process.stdout.write(text);
    });
    child.once('error', (error) => resolve({ code: 1, stdout, problem: error.message }));
    child.once('close', (code, signal) =>
      resolve({ code: code ?? 1, stdout, ...(signal ? { problem: `ended by ${signal}` } : {}) }),
    );
  });
}

/** A tool that passes or fails as a whole. @param {string} program @param {string[]} args @returns {Promise<Outcome>} */
async function wholeTool(program, args) {
  const { code, problem } = await show(program, args);
  if (code === 0) return { passed: 1, failed: 0 };
  return { passed: 0, failed: 1, note: problem ?? `exit ${code}` };
}

/**
 * Counts of the native test executable: its last line is "N passed, N failed". No line, no test or a bad exit
 * without a failed test is a failure.
 * @param {{ code: number, stdout: string, problem?: string }} ended
 * @returns {Outcome}
 */
export function nativeOutcome({ code, stdout, problem }) {
  const counts = /^(\d+) passed, (\d+) failed$/m.exec(stdout.trimEnd().split('\n').at(-1) ?? '');
  if (counts === null) return { passed: 0, failed: 1, note: problem ?? `no count of tests (exit ${code})` };
  const passed = Number(counts[1]);
  const failed = Number(counts[2]);
  if (passed + failed === 0) return { passed, failed: 1, note: 'no test ran' };
  if (code !== 0 && failed === 0) return { passed, failed: 1, note: problem ?? `exit ${code}` };
  return { passed, failed };
}

/**
 * Counts of vitest's JSON report. A file that failed without a failed test (it could not be loaded, or a
 * hook threw and its tests were skipped), an empty run, and an error outside of tests (a bad exit with nothing failed)
 * count as one failure each; a skipped test counts as neither.
 * @param {{ numPassedTests?: number, numFailedTests?: number, numPendingTests?: number,
 *   testResults?: { status: string, assertionResults: { status: string }[] }[] } | undefined} report
 * @param {{ code: number, coverageFailed: boolean }} ended
 * @returns {Outcome}
 */
export function vitestOutcome(report, { code, coverageFailed }) {
  if (report?.testResults === undefined) return { passed: 0, failed: 1, note: `no report (exit ${code})` };
  const passed = report.numPassedTests ?? 0;
  const hasFailedTest = (/** @type {{ assertionResults: { status: string }[] }} */ file) =>
    file.assertionResults.some((test) => test.status === 'failed');
  const broken = report.testResults.filter((file) => file.status === 'failed' && !hasFailedTest(file)).length;
  const failed = (report.numFailedTests ?? 0) + broken;
  const skipped = report.numPendingTests ?? 0;
  const note = [
    broken > 0 ? `${broken} files broken outside of their tests` : '',
    skipped > 0 ? `${skipped} skipped` : '',
  ]
    .filter((text) => text !== '')
    .join(', ');
  if (passed + failed === 0) return { passed, failed: 1, note: 'no test ran' };
  if (code !== 0 && failed === 0 && !coverageFailed) return { passed, failed: 1, note: 'an error outside of tests' };
  return { passed, failed, ...(note === '' ? {} : { note }) };
}

/** @param {string} path */
function readJson(path) {
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined;
}

/** Vitest with the coverage gate, which counts as one check. @returns {Promise<Outcome>} */
async function vitestWithCoverage() {
  const report = join(ROOT, 'build', 'vitest.json');
  const summary = join(ROOT, 'coverage', 'coverage-summary.json');
  for (const stale of [report, summary]) rmSync(stale, { force: true });
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const { code } = await show(bin('vitest'), ['run', '--coverage', '--coverage.reportOnFailure', ...reporters]);
  const problem = coverageProblem(readJson(summary));
  const tests = vitestOutcome(readJson(report), { code, coverageFailed: problem !== undefined });
  const note = [tests.note, problem].filter((text) => text !== undefined).join('; ');
  return {
    passed: tests.passed + (problem === undefined ? 1 : 0),
    failed: tests.failed + (problem === undefined ? 0 : 1),
    ...(note === '' ? {} : { note }),
  };
}

/** @type {Stage[]} */
export const STAGES = [
  { name: 'build', run: () => wholeTool(process.execPath, ['scripts/build.mjs']) },
  { name: 'lint', run: () => wholeTool(bin('biome'), ['ci', '--error-on-warnings']) },
  { name: 'lint:native', run: () => wholeTool(process.execPath, ['scripts/lint-native.mjs']) },
  { name: 'imports', run: () => wholeTool(bin('depcruise'), ['src', '--config', '.dependency-cruiser.cjs']) },
  { name: 'typecheck', run: () => wholeTool(bin('tsc'), ['-p', 'tsconfig.test.json']) },
  { name: 'typecheck:web', run: () => wholeTool(bin('tsc'), ['-p', 'src/web']) },
  { name: 'package', run: () => wholeTool(process.execPath, ['scripts/check-package.mjs']) },
  { name: 'native', run: async () => nativeOutcome(await show(join(ROOT, 'build', 'sdgen-native-tests'), [])) },
  { name: 'vitest', run: vitestWithCoverage },
];
