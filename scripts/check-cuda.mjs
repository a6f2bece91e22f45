#!/usr/bin/env node
/**
 * Compiles the CUDA kernels without a card: for sm_80 and sm_90a, with --release for all that a release carries. Prints what
 * each kernel takes; spilled registers are named. Without nvcc 12.8 or newer it says so and is skipped (exit 0), unless
 * --require. usage: node scripts/check-cuda.mjs [--release] [--require] [part of a file's name]
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const KERNELS = join(ROOT, 'native', 'backends', 'cuda');
const ALWAYS = ['80', '90a'];
const RELEASE = ['80', '86', '89', '90a', '120'];
const OLDEST = [12, 8];
/** As native/backends/cuda/code.cmake has them. */
const FLAGS = ['-std=c++20', '-O3', '-fmad=false', '-ftz=false', '-prec-div=true', '-prec-sqrt=true'];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { release: { type: 'boolean', default: false }, require: { type: 'boolean', default: false } },
});

/** The first nvcc that is there, and its version. */
function findCompiler() {
  const homes = [process.env.CUDA_HOME, process.env.CUDA_PATH, '/usr/local/cuda'].filter((home) => home !== undefined);
  for (const program of [...homes.map((home) => join(home, 'bin', 'nvcc')), 'nvcc']) {
    const { status, stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' });
    const version = status === 0 ? /release (\d+)\.(\d+)/.exec(stdout) : null;
    if (version !== null) return { program, version: [Number(version[1]), Number(version[2])] };
  }
  return undefined;
}

/** Kernel sources, a family a folder. */
function sources() {
  return readdirSync(KERNELS, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.cu') && positionals.every((part) => file.includes(part)))
    .sort();
}

/** What ptxas says of each kernel: name, registers, spilled bytes. @param {string} text */
function resources(text) {
  return [
    ...text.matchAll(/Compiling entry function '(\w+)'[\s\S]*?(\d+) bytes spill stores[\s\S]*?Used (\d+) registers/g),
  ].map(([, name, spilled, registers]) => ({ name, spilled: Number(spilled), registers: Number(registers) }));
}

const compiler = findCompiler();
const [major = 0, minor = 0] = compiler?.version ?? [];
if (compiler === undefined || major < (OLDEST[0] ?? 0) || (major === OLDEST[0] && minor < (OLDEST[1] ?? 0))) {
  const what = compiler === undefined ? 'no nvcc (CUDA_HOME says where it is)' : `nvcc ${major}.${minor}`;
  console.log(`check-cuda: ${what}; ${OLDEST.join('.')} or newer is needed: ${values.require ? 'failed' : 'skipped'}`);
  process.exit(values.require ? 1 : 0);
}

const files = sources();
if (files.length === 0 || !existsSync(KERNELS)) {
  console.error(`check-cuda: no kernel of that name under ${KERNELS}`);
  process.exit(2);
}
const folder = mkdtempSync(join(tmpdir(), 'sdgen-cuda-'));
let passed = 0;
let failed = 0;
for (const architecture of values.release ? RELEASE : ALWAYS) {
  for (const file of files) {
    const code = ['-cubin', `-arch=sm_${architecture}`, '-Xptxas', '-v', '-I', join(ROOT, 'native')];
    const output = ['-o', join(folder, 'out.cubin'), join(KERNELS, file)];
    const { status, stderr } = spawnSync(compiler.program, [...FLAGS, ...code, ...output], { encoding: 'utf8' });
    if (status !== 0) {
      failed++;
      console.error(`sm_${architecture} ${file}: does not compile\n${stderr}`);
      continue;
    }
    passed++;
    for (const { name, registers, spilled } of resources(stderr)) {
      const note = spilled > 0 ? `, ${spilled} bytes spilled` : '';
      console.log(`sm_${architecture} ${file}: ${name}: ${registers} registers${note}`);
    }
  }
}
rmSync(folder, { recursive: true });
console.log(`nvcc ${major}.${minor}: ${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
