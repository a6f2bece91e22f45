#!/usr/bin/env node
/** Says in one sentence what is missing to compile the native part, and how to get it. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Oldest versions that build the C++20 of native/. */
export const MINIMUM = { gcc: [11, 0], clang: [14, 0], cmake: [3, 20] };

/** Names under which CMake looks for a C++ compiler, in its order. */
const COMPILERS = ['c++', 'g++', 'clang++'];

/** Output of `command --version`, or undefined if it cannot be run. @param {string} command may hold a launcher (ccache g++) */
function versionText(command) {
  const [program = '', ...rest] = command.split(/\s+/);
  const { status, stdout } = spawnSync(program, [...rest, '--version'], { encoding: 'utf8' });
  return status === 0 ? stdout : undefined;
}

/** @param {readonly number[]} found @param {readonly number[]} least */
function isOlder(found, least) {
  const [major = 0, minor = 0] = found;
  const [leastMajor = 0, leastMinor = 0] = least;
  return major < leastMajor || (major === leastMajor && minor < leastMinor);
}

/** First dotted number of a text. @param {string} text */
function versionOf(text) {
  const match = /(\d+)\.(\d+)/.exec(text);
  return match === null ? undefined : [Number(match[1]), Number(match[2])];
}

/**
 * @param {(program: string) => string | undefined} probe
 * @param {string | undefined} chosen the CXX variable
 * @returns {string | undefined} what is wrong
 */
function compilerProblem(probe, chosen) {
  const names = chosen === undefined || chosen === '' ? COMPILERS : [chosen];
  for (const name of names) {
    const text = probe(name);
    if (text === undefined) continue;
    const firstLine = text.split('\n')[0] ?? '';
    const clang = /clang version (.*)/.exec(firstLine);
    // GCC prints "g++ (DISTRIBUTION 12.2.0-14) 12.2.0": its own version stands last.
    const version = versionOf(clang?.[1] ?? firstLine.replace(/\(.*\)/, ''));
    if (version === undefined) return `a C++20 compiler is needed and ${name} --version cannot be understood`;
    const least = clang ? MINIMUM.clang : MINIMUM.gcc;
    const family = clang ? 'clang' : 'g++';
    if (!isOlder(version, least)) return undefined;
    return `${family} ${least[0]} or newer is needed and ${name} is ${version.join('.')}`;
  }
  if (names.length === 1) return `a C++20 compiler is needed and ${names[0]} (from CXX) cannot be run`;
  return 'a C++20 compiler is needed and there is none';
}

/** @param {(program: string) => string | undefined} probe @returns {string | undefined} */
function cmakeProblem(probe) {
  const least = MINIMUM.cmake.join('.');
  const text = probe('cmake');
  if (text === undefined) return `cmake ${least} or newer is needed and there is none`;
  const version = versionOf(text);
  if (version === undefined) return `cmake ${least} or newer is needed and cmake --version cannot be understood`;
  return isOlder(version, MINIMUM.cmake)
    ? `cmake ${least} or newer is needed and cmake is ${version.join('.')}`
    : undefined;
}

/**
 * @param {{ probe?: (program: string) => string | undefined, environment?: Record<string, string | undefined> }} [given]
 * @returns {string | undefined} one sentence with the remedy, or undefined if everything is there
 */
export function toolchainProblem({ probe = versionText, environment = process.env } = {}) {
  const builder =
    probe('ninja') === undefined && probe('make') === undefined
      ? 'make or ninja is needed and there is none'
      : undefined;
  const problems = [compilerProblem(probe, environment.CXX), cmakeProblem(probe), builder].filter(
    (problem) => problem !== undefined,
  );
  if (problems.length === 0) return undefined;
  return `To build sdgen, ${problems.join('; ')}: run \`sudo apt-get install g++ cmake make\`, or install them as your system does.`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const problem = toolchainProblem();
  if (problem !== undefined) console.error(problem);
  process.exitCode = problem === undefined ? 0 : 1;
}
