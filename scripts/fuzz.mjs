#!/usr/bin/env node
// Builds the fuzz targets with g++ (address and undefined-behaviour sanitizers) and runs them over their corpus.
// usage: node scripts/fuzz.mjs [--seconds N] [--seed N] [--runs N] [safetensors|json]...
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'test/native/fuzz');
const build = join(root, 'build-fuzz');
const known = readdirSync(join(folder, 'corpus'));

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '30' },
    seed: { type: 'string', default: '1' },
    runs: { type: 'string' },
  },
});

function fail(message) {
  console.error(message);
  process.exit(1);
}

for (const [flag, text] of Object.entries(values)) {
  if (!/^[0-9]+$/.test(text)) fail(`--${flag} must be a whole number, not "${text}"`);
}
const unknown = positionals.find((name) => !known.includes(name));
if (unknown !== undefined) fail(`unknown target "${unknown}"; there are: ${known.join(', ')}`);

function run(command, args) {
  const result = spawnSync(command, args, { stdio: 'inherit' });
  if (result.error) fail(`${command} cannot be started (${result.error.message}); install cmake and g++`);
  return result.status === 0;
}

if (!run('cmake', ['-S', folder, '-B', build, '-DCMAKE_BUILD_TYPE=None']))
  fail('cmake could not configure the targets');
if (!run('cmake', ['--build', build, '-j2'])) fail('the fuzz targets do not compile');

const amount = values.runs === undefined ? ['--seconds', values.seconds] : ['--runs', values.runs];
for (const target of positionals.length > 0 ? positionals : known) {
  const crash = join(build, `crash-${target}.bin`);
  console.log(`${target}:`);
  const args = [...amount, '--seed', values.seed, '--crash', crash, join(folder, 'corpus', target)];
  if (run(join(build, `${target}_fuzz`), args)) continue;
  fail(
    `${target} failed${existsSync(crash) ? `; the input is in ${crash}: add it to the corpus once it is mended` : ''}`,
  );
}
