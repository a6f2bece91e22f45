#!/usr/bin/env node
/**
 * `npm test`: every gate of the project, all of them even if one fails. The last line alone is
 * "N passed, N failed"; a tool that passes or fails as a whole counts as one.
 */
import { fileURLToPath } from 'node:url';
import { STAGES } from './test/stages.mjs';

/**
 * One line a stage, then the sum alone on the last line.
 * @param {{ name: string, passed: number, failed: number, note?: string, seconds: number }[]} results
 */
export function summarise(results) {
  const lines = results.map(({ name, passed, failed, note, seconds }) => {
    const counts = `${passed} passed, ${failed} failed`;
    return `${failed === 0 ? 'ok  ' : 'FAIL'} ${name.padEnd(12)} ${counts} in ${seconds.toFixed(1)} s${note ? ` (${note})` : ''}`;
  });
  const sum = (/** @type {'passed' | 'failed'} */ key) => results.reduce((total, result) => total + result[key], 0);
  return [...lines, `${sum('passed')} passed, ${sum('failed')} failed`];
}

/**
 * @param {string[]} names stages to run; none means all
 * @param {import('./test/stages.mjs').Stage[]} stages
 * @param {(line: string) => void} print
 * @returns {Promise<number>} 0 if something passed and nothing failed, 1 if not, 2 for an unknown stage
 */
export async function main(names, stages = STAGES, print = console.log) {
  const unknown = names.find((name) => !stages.some((stage) => stage.name === name));
  if (unknown !== undefined) {
    print(`test: unknown stage "${unknown}"; known: ${stages.map((stage) => stage.name).join(', ')}`);
    return 2;
  }
  const results = [];
  for (const { name, run } of stages.filter((stage) => names.length === 0 || names.includes(stage.name))) {
    print(`--- ${name}`);
    const begin = performance.now();
    const outcome = await run();
    results.push({ name, ...outcome, seconds: (performance.now() - begin) / 1000 });
  }
  for (const line of ['', ...summarise(results)]) print(line);
  const failed = results.some((result) => result.failed > 0);
  return failed || !results.some((result) => result.passed > 0) ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = await main(process.argv.slice(2));
