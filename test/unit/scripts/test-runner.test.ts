import { describe, expect, it } from 'vitest';
import { COVERAGE_LINES, coverageProblem } from '../../../scripts/coverage-gate.mjs';
import { nativeOutcome, vitestOutcome } from '../../../scripts/test/stages.mjs';
import { main } from '../../../scripts/test.mjs';

const stage = (name: string, passed: number, failed: number) => ({ name, run: async () => ({ passed, failed }) });

async function run(names: string[], ...stages: ReturnType<typeof stage>[]) {
  const lines: string[] = [];
  const code = await main(names, stages, (line) => lines.push(line));
  return { code, lines };
}

describe('test runner', () => {
  it('ends with the sum alone on a line', async () => {
    const { code, lines } = await run([], stage('lint', 1, 0), stage('vitest', 41, 0));
    expect(code).toBe(0);
    expect(lines.at(-1)).toBe('42 passed, 0 failed');
  });

  it('runs the stages after a failed one, and fails', async () => {
    const { code, lines } = await run([], stage('lint', 0, 1), stage('vitest', 3, 0));
    expect(code).toBe(1);
    expect(lines.at(-1)).toBe('3 passed, 1 failed');
    expect(lines.filter((line) => line.startsWith('FAIL'))).toHaveLength(1);
  });

  it('fails when nothing ran, and refuses an unknown stage', async () => {
    expect((await run([], stage('vitest', 0, 0))).code).toBe(1);
    const { code, lines } = await run(['lnt'], stage('lint', 1, 0));
    expect(code).toBe(2);
    expect(lines.join()).toContain('known: lint');
  });

  it('runs the named stages only', async () => {
    expect((await run(['lint'], stage('lint', 1, 0), stage('vitest', 3, 0))).lines.at(-1)).toBe('1 passed, 0 failed');
  });
});

describe('native counts', () => {
  it.each([
    ['ok   a\n12 passed, 0 failed\n', 0, { passed: 12, failed: 0 }],
    ['FAIL a\n11 passed, 1 failed\n', 1, { passed: 11, failed: 1 }],
    ['12 passed, 0 failed\n', 139, { passed: 12, failed: 1 }],
    ['0 passed, 0 failed\n', 1, { passed: 0, failed: 1 }],
    ['ok   a\n', 139, { passed: 0, failed: 1 }],
    ['', 1, { passed: 0, failed: 1 }],
  ])('%j, exit %d', (stdout, code, expected) => {
    expect(nativeOutcome({ code, stdout })).toMatchObject(expected);
  });
});

describe('vitest counts', () => {
  const file = { status: 'passed', assertionResults: [{ status: 'passed' }] };
  const report = { numPassedTests: 5, numFailedTests: 0, numPendingTests: 0, testResults: [file] };
  const ended = { code: 0, coverageFailed: false };

  it('takes them from the report', () => {
    expect(vitestOutcome(report, ended)).toEqual({ passed: 5, failed: 0 });
    expect(vitestOutcome({ ...report, numFailedTests: 2 }, { ...ended, code: 1 })).toEqual({ passed: 5, failed: 2 });
  });

  it.each([
    ['cannot be loaded', []],
    ['breaks in a hook, so that its tests are skipped', [{ status: 'skipped' }, { status: 'skipped' }]],
  ])('counts a file that %s as failed, whatever the coverage', (_case, assertionResults) => {
    const testResults = [file, { status: 'failed', assertionResults }];
    for (const coverageFailed of [false, true]) {
      const outcome = vitestOutcome({ ...report, testResults }, { code: 1, coverageFailed });
      expect(outcome).toMatchObject({ passed: 5, failed: 1 });
    }
  });

  it('counts a failed test once, not its file too', () => {
    const testResults = [{ status: 'failed', assertionResults: [{ status: 'failed' }] }];
    const outcome = vitestOutcome({ ...report, numFailedTests: 1, testResults }, { ...ended, code: 1 });
    expect(outcome).toMatchObject({ passed: 5, failed: 1 });
  });

  it('counts an error outside of tests, but not a low coverage twice', () => {
    expect(vitestOutcome(report, { code: 1, coverageFailed: false })).toMatchObject({ passed: 5, failed: 1 });
    expect(vitestOutcome(report, { code: 1, coverageFailed: true })).toMatchObject({ passed: 5, failed: 0 });
  });

  it('fails without a report or without a test', () => {
    expect(vitestOutcome(undefined, ended)).toMatchObject({ failed: 1 });
    const empty = { ...report, numPassedTests: 0, testResults: [] };
    expect(vitestOutcome(empty, ended)).toMatchObject({ failed: 1 });
  });

  it('names skipped tests', () => {
    expect(vitestOutcome({ ...report, numPendingTests: 2 }, ended)).toMatchObject({ failed: 0, note: '2 skipped' });
  });
});

describe('coverage gate', () => {
  const summary = (total: number, pct: number | string) => ({ total: { lines: { total, pct } } });
  it('asks for 90 % of the lines', () => {
    expect(COVERAGE_LINES).toBe(90);
    expect(coverageProblem(summary(1000, 90))).toBeUndefined();
    expect(coverageProblem(summary(1000, 89.99))).toContain('89.99 %');
  });

  it('refuses a report that measured nothing', () => {
    expect(coverageProblem(summary(0, 100))).toContain('no lines');
    expect(coverageProblem(summary(10, 'Unknown'))).toContain('no lines');
    expect(coverageProblem(undefined)).toContain('no coverage');
  });
});
