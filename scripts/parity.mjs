#!/usr/bin/env node
/**
 * Compares full-size checkpoints of SD 1.x and SD 2.x (random weights, seed 7) with PyTorch's float64 results: real widths
 * and head sizes. Each is made in build/models, 2.1 and 2.6 GB, unless it is there; needs 6 GB of memory.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { makeTinyModel } from './make-tiny-model.mjs';

const file = (/** @type {string} */ path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const EVAL = file('build/sdgen-eval');
const ARCHITECTURES = ['sd1', 'sd2'];
const PARTS = /** @type {const} */ ([
  ['text', 'text.last'],
  ['unet', 'unet.out.t500'],
  ['vae-decode', 'vae.decoded'],
]);
/** Times what float32 arithmetic of the fixture's own code loses. */
const ALLOWANCE = 10;

/** F32 tensors and metadata of a file this project wrote. @param {string} path */
function readFloats(path) {
  const bytes = readFileSync(path);
  const headerBytes = Number(bytes.readBigUInt64LE(0));
  const { __metadata__: metadata = {}, ...entries } = JSON.parse(bytes.toString('utf8', 8, 8 + headerBytes));
  /** @type {Map<string, Float32Array>} */
  const tensors = new Map();
  for (const [name, { dtype, data_offsets: at }] of Object.entries(entries)) {
    const body = new Uint8Array(bytes.subarray(8 + headerBytes + at[0], 8 + headerBytes + at[1]));
    if (dtype === 'F32') tensors.set(name, new Float32Array(body.buffer));
  }
  return { metadata, tensors };
}

/** max|a − b| / max|b|. @param {Float32Array} a @param {Float32Array} b */
function relativeError(a, b) {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let difference = 0;
  let largest = 0;
  for (let i = 0; i < b.length; i++) {
    const distance = Math.abs((a[i] ?? Number.NaN) - (b[i] ?? Number.NaN));
    if (!Number.isFinite(distance)) return Number.POSITIVE_INFINITY;
    difference = Math.max(difference, distance);
    largest = Math.max(largest, Math.abs(b[i] ?? 0));
  }
  return difference / largest;
}

/**
 * Prints a line for each part.
 * @param {string} arch @param {string} model its checkpoint @param {string[]} flags of sdgen-eval
 * @returns {number} how many parts are wrong
 */
function compare(arch, model, flags) {
  const fixture = file(`test/fixtures/${arch}_model.safetensors`);
  const { metadata, tensors: expected } = readFloats(fixture);
  const fp32Error = JSON.parse(metadata.fp32_error);
  const folder = mkdtempSync(join(tmpdir(), 'sdgen-parity-'));
  let wrong = 0;
  try {
    for (const [part, name] of PARTS) {
      const output = join(folder, `${part}.safetensors`);
      const args = ['--part', part, '--model', model, '--inputs', fixture, '--output', output, ...flags];
      const { status, stderr } = spawnSync(EVAL, args, { encoding: 'utf8' });
      if (status !== 0) throw new Error(`sdgen-eval --part ${part}: exit ${status}: ${stderr}`);
      const actual = readFloats(output).tensors.get(name);
      const target = expected.get(name);
      if (actual === undefined || target === undefined) throw new Error(`${name} is missing`);
      const error = relativeError(actual, target);
      const bound = ALLOWANCE * fp32Error[name];
      const isRight = error <= bound;
      if (!isRight) wrong++;
      const figures = `error ${error.toExponential(2)}  bound ${bound.toExponential(2)}`;
      const times = `(${(error / fp32Error[name]).toFixed(2)} × fp32's own)`;
      console.log(`${isRight ? 'ok   ' : 'WRONG'} ${arch} ${name.padEnd(14)} ${figures}  ${times}`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return wrong;
}

async function main() {
  const { values } = parseArgs({ options: { arch: { type: 'string', multiple: true }, device: { type: 'string' } } });
  if (!existsSync(EVAL)) throw new Error(`${EVAL} is missing: run \`npm run build:native\``);
  const archs = values.arch ?? ARCHITECTURES;
  const unknown = archs.find((arch) => !ARCHITECTURES.includes(arch));
  if (unknown !== undefined) throw new Error(`--arch: '${unknown}' is neither of ${ARCHITECTURES.join(', ')}`);
  let wrong = 0;
  for (const arch of archs) {
    const model = file(`build/models/${arch}-7-F16.safetensors`);
    if (!existsSync(model)) await makeTinyModel({ path: model, arch, dtype: 'F16', seed: 7 });
    wrong += compare(arch, model, values.device === undefined ? [] : ['--device', values.device]);
  }
  return wrong === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`parity: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
