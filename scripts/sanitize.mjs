#!/usr/bin/env node
// Builds the native tests with sanitizers and runs them: address and undefined behaviour, then threads.
// usage: node scripts/sanitize.mjs [--only asan|tsan] [part of a test's name]
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const kinds = {
  asan: {
    flags: '-fsanitize=address,undefined -fno-sanitize-recover=all',
    environment: {
      ASAN_OPTIONS: 'detect_leaks=1:strict_string_checks=1:check_initialization_order=1',
      UBSAN_OPTIONS: 'print_stacktrace=1',
    },
  },
  tsan: { flags: '-fsanitize=thread', environment: { TSAN_OPTIONS: 'halt_on_error=1:second_deadlock_stack=1' } },
};

const { values, positionals } = parseArgs({ allowPositionals: true, options: { only: { type: 'string' } } });

function fail(message) {
  console.error(message);
  process.exit(1);
}

function run(command, args, environment = {}) {
  const result = spawnSync(command, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...environment } });
  if (result.error) fail(`${command} cannot be started (${result.error.message}); install cmake, g++ and util-linux`);
  return result.status === 0;
}

if (values.only !== undefined && !(values.only in kinds)) {
  fail(`--only must be ${Object.keys(kinds).join(' or ')}, not "${values.only}"`);
}
for (const kind of values.only === undefined ? Object.keys(kinds) : [values.only]) {
  const { flags, environment } = kinds[kind];
  const build = join(root, `build-${kind}`);
  const configure = [
    ...['-S', root, '-B', build, '-DCMAKE_BUILD_TYPE=None', '-DSDGEN_NATIVE_TESTS=ON'],
    `-DCMAKE_CXX_FLAGS=-O1 -g -fno-omit-frame-pointer ${flags}`,
  ];
  if (!run('cmake', configure)) fail(`${kind}: cmake could not configure the build`);
  if (!run('cmake', ['--build', build, '-j2', '--target', 'sdgen-native-tests']))
    fail(`${kind}: the tests do not compile`);
  // Without address randomisation: g++ 12's thread sanitizer cannot place its shadow memory where much of it is used.
  if (!run('setarch', ['-R', join(build, 'sdgen-native-tests'), ...positionals], environment)) fail(`${kind}: failed`);
  console.log(`${kind}: passed`);
}
