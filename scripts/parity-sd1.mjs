#!/usr/bin/env node
/**
 * Compares a full-size SD 1.x (random weights, seed 7) with PyTorch's float64 results: real widths and head sizes.
 * Needs 2.1 GB of disk in build/models, unless --model names the checkpoint, and 5 GB of memory; takes under a minute.
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
const FIXTURE = file('test/fixtures/sd1_model.safetensors');
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

async function main() {
  const { values } = parseArgs({ options: { model: { type: 'string' } } });
  if (!existsSync(EVAL)) throw new Error(`${EVAL} is missing: run \`npm run build:native\``);
  const model = values.model ?? file('build/models/sd1-7-F16.safetensors');
  if (!existsSync(model)) await makeTinyModel({ path: model, arch: 'sd1', dtype: 'F16', seed: 7 });

  const { metadata, tensors: expected } = readFloats(FIXTURE);
  const fp32Error = JSON.parse(metadata.fp32_error);
  const folder = mkdtempSync(join(tmpdir(), 'sdgen-parity-'));
  let wrong = 0;
  try {
    for (const [part, name] of [
      ['text', 'text.last'],
      ['unet', 'unet.out.t500'],
      ['vae-decode', 'vae.decoded'],
    ]) {
      const output = join(folder, `${part}.safetensors`);
      const args = ['--part', part, '--model', model, '--inputs', FIXTURE, '--output', output];
      const { status, stderr } = spawnSync(EVAL, args, { encoding: 'utf8' });
      if (status !== 0) throw new Error(`sdgen-eval --part ${part}: exit ${status}: ${stderr}`);
      const actual = readFloats(output).tensors.get(name);
      const target = expected.get(name);
      if (actual === undefined || target === undefined) throw new Error(`${name} is missing`);
      const error = relativeError(actual, target);
      const bound = ALLOWANCE * fp32Error[name];
      const verdict = error <= bound ? 'ok' : 'WRONG';
      if (verdict !== 'ok') wrong++;
      const figures = `error ${error.toExponential(2)}  bound ${bound.toExponential(2)}`;
      console.log(
        `${verdict.padEnd(5)} ${name.padEnd(14)} ${figures}  (${(error / fp32Error[name]).toFixed(2)} × fp32's own)`,
      );
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return wrong === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`parity-sd1: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
