#!/usr/bin/env node
// Builds the native tests with sanitizers and runs them, a process for each core: address and undefined behaviour, then
// threads. On two cores a build takes about six minutes (ccache makes the next one short), the first kind's tests about as
// long, those of threads more than half an hour. The emulation of cards is left out unless --emulation asks for it: under
// the first kind single tests of it take over ten minutes, and the second cannot follow it.
// usage: node scripts/sanitize.mjs [--only asan|tsan] [--emulation] [part of a test's name]
import { spawn, spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const kinds = {
  asan: {
    flags: '-fsanitize=address,undefined -fno-sanitize-recover=all',
    emulation: true,
    environment: {
      ASAN_OPTIONS: 'detect_leaks=1:strict_string_checks=1:check_initialization_order=1',
      UBSAN_OPTIONS: 'print_stacktrace=1',
    },
  },
  tsan: {
    flags: '-fsanitize=thread',
    // The emulation of cards changes stacks by hand, which this sanitizer does not follow; it runs in one thread.
    emulation: false,
    environment: { TSAN_OPTIONS: 'halt_on_error=1:second_deadlock_stack=1' },
  },
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { only: { type: 'string' }, emulation: { type: 'boolean', default: false } },
});

function fail(message) {
  console.error(message);
  process.exit(1);
}

function run(command, args) {
  const result = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (result.error) fail(`${command} cannot be started (${result.error.message}); install cmake and g++`);
  return result.status === 0;
}

/**
 * Runs the tests in as many processes as there are cores, each its share of them.
 * @param {string} executable @param {Record<string, string>} environment
 * @returns {Promise<boolean>} whether all have passed
 */
async function runTests(executable, environment) {
  // Without address randomisation: g++ 12's thread sanitizer cannot place its shadow memory where much of it is used.
  const shards = positionals.length > 0 ? 1 : Math.min(availableParallelism(), 8);
  const outcomes = Array.from({ length: shards }, (_, i) => {
    const args = ['-R', executable, '--shard', `${i + 1}/${shards}`, ...positionals];
    const child = spawn('setarch', args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...environment } });
    return new Promise((resolve) => {
      child.once('error', (error) => fail(`setarch cannot be started (${error.message}); install util-linux`));
      child.once('exit', (status) => resolve(status === 0));
    });
  });
  return (await Promise.all(outcomes)).every(Boolean);
}

if (values.only !== undefined && !(values.only in kinds)) {
  fail(`--only must be ${Object.keys(kinds).join(' or ')}, not "${values.only}"`);
}
for (const kind of values.only === undefined ? Object.keys(kinds) : [values.only]) {
  const { flags, emulation, environment } = kinds[kind];
  const begun = performance.now();
  const build = join(root, `build-${kind}`);
  const configure = [
    ...['-S', root, '-B', build, '-DCMAKE_BUILD_TYPE=None', '-DSDGEN_NATIVE_TESTS=ON'],
    `-DSDGEN_EMULATION=${emulation && values.emulation ? 'ON' : 'OFF'}`,
    `-DCMAKE_CXX_FLAGS=-O1 -g -fno-omit-frame-pointer ${flags}`,
  ];
  if (!run('cmake', configure)) fail(`${kind}: cmake could not configure the build`);
  if (!run('cmake', ['--build', build, '-j2', '--target', 'sdgen-native-tests']))
    fail(`${kind}: the tests do not compile`);
  const built = performance.now();
  if (!(await runTests(join(build, 'sdgen-native-tests'), environment))) fail(`${kind}: failed`);
  const minutes = (from, to) => ((to - from) / 60_000).toFixed(1);
  console.log(`${kind}: passed (build ${minutes(begun, built)} min, tests ${minutes(built, performance.now())} min)`);
}
