#!/usr/bin/env node
// Runs the fuzz targets over their corpus. Those in C++ are built with g++ (address and undefined-behaviour sanitizers);
// those in TypeScript run over dist/, in a thread of this process. An input that fails is kept, and named.
// Of a target in C++ --keep FOLDER takes the inputs that reach code which its corpus does not: candidates for it.
// usage: node scripts/fuzz.mjs [--seconds N] [--seed N] [--runs N] [--keep FOLDER] [TARGET]...
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { CORPUS, runTarget } from './fuzz/driver.mjs';
import { TARGETS } from './fuzz/targets.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'test/native/fuzz');
const build = join(root, 'build-fuzz');
const native = readdirSync(join(folder, 'corpus'));
const known = [...native, ...Object.keys(TARGETS)];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '30' },
    seed: { type: 'string', default: '1' },
    runs: { type: 'string' },
    keep: { type: 'string' },
  },
});

function fail(message) {
  console.error(message);
  process.exit(1);
}

for (const [flag, text] of Object.entries(values)) {
  if (flag !== 'keep' && !/^[0-9]+$/.test(text)) fail(`--${flag} must be a whole number, not "${text}"`);
}
const unknown = positionals.find((name) => !known.includes(name));
if (unknown !== undefined) fail(`unknown target "${unknown}"; there are: ${known.join(', ')}`);

function run(command, args) {
  const result = spawnSync(command, args, { stdio: 'inherit' });
  if (result.error) fail(`${command} cannot be started (${result.error.message}); install cmake and g++`);
  return result.status === 0;
}

/** @param {string} target @param {string} crash */
function failed(target, crash) {
  const kept = existsSync(crash) ? `; the input is in ${crash}: add it to the corpus once it is mended` : '';
  fail(`${target} failed${kept}`);
}

/** @param {string} target @param {string} crash */
function runNative(target, crash) {
  const amount = values.runs === undefined ? ['--seconds', values.seconds] : ['--runs', values.runs];
  const keep = values.keep === undefined ? [] : ['--keep', values.keep];
  if (values.keep !== undefined) mkdirSync(values.keep, { recursive: true });
  const args = [...amount, ...keep, '--seed', values.seed, '--crash', crash, join(folder, 'corpus', target)];
  if (!run(join(build, `${target}_fuzz`), args)) failed(target, crash);
}

/** @param {string} target @param {string} crash */
async function runInProcess(target, crash) {
  const runs = values.runs === undefined ? undefined : Number(values.runs);
  const job = {
    target,
    corpus: join(CORPUS, target),
    seconds: Number(values.seconds),
    runs,
    seed: Number(values.seed),
  };
  try {
    const { inputs, committed, kinds } = await runTarget({ ...job, crash });
    console.log(`${inputs} inputs from ${committed}, ${kinds} kinds of outcome, no failure`);
  } catch (error) {
    console.error(error);
    failed(target, crash);
  }
}

const chosen = positionals.length > 0 ? positionals : known;
if (chosen.some((target) => native.includes(target))) {
  if (!run('cmake', ['-S', folder, '-B', build, '-DCMAKE_BUILD_TYPE=None']))
    fail('cmake could not configure the targets');
  if (!run('cmake', ['--build', build, '-j2'])) fail('the fuzz targets do not compile');
}
mkdirSync(build, { recursive: true });
for (const target of chosen) {
  const crash = join(build, `crash-${target}.bin`);
  rmSync(crash, { force: true });
  console.log(`${target}:`);
  await (native.includes(target) ? runNative : runInProcess)(target, crash);
}
