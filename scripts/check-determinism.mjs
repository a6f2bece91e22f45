#!/usr/bin/env node
/**
 * Builds sdgen-eval with several compilers and flags and shows that all give the same bytes: text, UNet and VAE of
 * micro1 and every sampler, on the fixtures, with one and two threads. Needs no Node addon.
 * A compiler that is not there is skipped and named; --require-clang makes that a failure.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { makeTinyModel } from './make-tiny-model.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const BUILDS = join(ROOT, 'build-determinism');
const FIXTURES = join(ROOT, 'test', 'fixtures');

/** Flags stand after the build type's own, so they win. */
const VARIANTS = [
  { name: 'g++ -O3', compiler: 'g++', flags: '' },
  { name: 'g++ -O1', compiler: 'g++', flags: '-O1' },
  { name: 'g++ -O3 -march=native', compiler: 'g++', flags: '-O3 -march=native' },
  { name: 'g++ -O3 -march=native, one version', compiler: 'g++', flags: '-O3 -march=native -DSDGEN_NO_CLONES' },
  { name: 'clang++ -O3 -march=native', compiler: 'clang++', flags: '-O3 -march=native' },
  { name: 'clang++ -O1', compiler: 'clang++', flags: '-O1' },
];

/** @param {string} program @param {string[]} args */
function run(program, args) {
  const { status, error, stdout, stderr } = spawnSync(program, args, { cwd: ROOT, encoding: 'utf8' });
  if (error !== undefined) throw new Error(`${program} cannot be started: ${error.message}`);
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: exit ${status}\n${stdout}${stderr}`);
  return stdout;
}

/** @param {string} program */
const isInstalled = (program) => spawnSync(program, ['--version']).status === 0;

/** Builds one variant; gives the path of its sdgen-eval. @param {{ name: string, compiler: string, flags: string }} variant */
function build({ name, compiler, flags }) {
  const folder = join(BUILDS, name.replaceAll(/[^\w+-]+/g, '_'));
  const options = [`-DCMAKE_CXX_COMPILER=${compiler}`, `-DCMAKE_CXX_FLAGS=${flags}`, '-DCMAKE_BUILD_TYPE=Release'];
  run('cmake', ['-S', ROOT, '-B', folder, ...options, ...(flags === '' ? [] : ['-DCMAKE_CXX_FLAGS_RELEASE='])]);
  run('cmake', ['--build', folder, '--target', 'sdgen-eval', '--parallel', String(availableParallelism())]);
  return join(folder, 'sdgen-eval');
}

/** What is evaluated: a label and sdgen-eval's arguments. @param {string} model */
function workloads(model) {
  const micro1 = ['--model', model, '--inputs', join(FIXTURES, 'micro1_model.safetensors'), '--inner'];
  const samplers = readFileSync(join(ROOT, 'native/sampling/sampler.cpp'), 'utf8').matchAll(
    /^ {4}\{"(\w+)", sample_/gm,
  );
  const list = ['text', 'unet', 'vae-decode'].flatMap((part) =>
    [1, 2].map((threads) => ({
      label: `${part}, ${threads} thread${threads > 1 ? 's' : ''}`,
      args: ['--part', part, ...micro1, '--threads', String(threads)],
    })),
  );
  for (const [, id] of samplers) {
    const inputs = join(FIXTURES, 'k_diffusion_samplers.safetensors');
    list.push({ label: id, args: ['--part', 'sampler', '--sampler', id, '--schedule', 'karras', '--inputs', inputs] });
  }
  return list;
}

async function main() {
  const { values } = parseArgs({ options: { 'require-clang': { type: 'boolean', default: false } } });
  mkdirSync(BUILDS, { recursive: true });
  const model = join(ROOT, 'build', 'models', 'micro1-7-F16.safetensors');
  if (!existsSync(model)) await makeTinyModel({ path: model, arch: 'micro1', dtype: 'F16', seed: 7 });

  /** @type {Map<string, string>} */
  const first = new Map();
  let differing = 0;
  for (const variant of VARIANTS) {
    if (!isInstalled(variant.compiler)) {
      console.log(`${variant.name}: skipped, ${variant.compiler} is not installed`);
      if (variant.compiler === 'clang++' && values['require-clang']) differing++;
      continue;
    }
    const program = build(variant);
    for (const { label, args } of workloads(model)) {
      const output = join(BUILDS, 'out.safetensors');
      run(program, [...args, '--output', output]);
      const hash = createHash('sha256').update(readFileSync(output)).digest('hex');
      const key = label.replace(/, \d threads?$/, '');
      if (!first.has(key)) first.set(key, hash);
      const same = first.get(key) === hash;
      if (!same) differing++;
      console.log(`${same ? 'same  ' : 'DIFFER'} ${hash.slice(0, 16)}  ${label.padEnd(22)} ${variant.name}`);
    }
  }
  console.log(differing === 0 ? `all equal (${first.size} results)` : `${differing} differ or are missing`);
  return differing === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`check-determinism: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
