import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readSafetensors, type SafetensorsFile, type Tensor } from './safetensors.js';

const EVAL = fileURLToPath(new URL('../../build/sdgen-eval', import.meta.url));

/** Path of a committed fixture. */
export function fixturePath(name: string): string {
  return fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
}

/** Runs sdgen-eval on `inputs` and reads what it wrote. Throws with its error text. */
export function evaluate(part: string, inputs: string, args: readonly string[]): SafetensorsFile {
  if (!existsSync(EVAL)) throw new Error(`${EVAL} is missing: run \`npm run build:native\``);
  const folder = mkdtempSync(join(tmpdir(), 'sdgen-eval-'));
  try {
    const output = join(folder, 'out.safetensors');
    const run = spawnSync(EVAL, ['--part', part, '--inputs', inputs, '--output', output, ...args], {
      encoding: 'utf8',
    });
    if (run.status !== 0) throw new Error(`sdgen-eval --part ${part}: exit ${run.status}: ${run.stderr}`);
    return readSafetensors(output);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Writes tensors as a safetensors file. */
export function writeSafetensors(path: string, tensors: Readonly<Record<string, Tensor>>): void {
  const header: Record<string, unknown> = {};
  const bodies: Buffer[] = [];
  let offset = 0;
  for (const [name, { dtype, shape, data }] of Object.entries(tensors)) {
    header[name] = { dtype, shape, data_offsets: [offset, offset + data.byteLength] };
    bodies.push(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
    offset += data.byteLength;
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  writeFileSync(path, Buffer.concat([length, json, ...bodies]));
}

/** max|a − b| / max|b|; infinite where shapes differ or a value is not finite. */
export function relativeError(actual: Tensor, expected: Tensor): number {
  if (actual.shape.join() !== expected.shape.join()) return Number.POSITIVE_INFINITY;
  let difference = 0;
  let largest = 0;
  for (const [i, b] of expected.data.entries()) {
    const distance = Math.abs((actual.data[i] ?? Number.NaN) - b);
    if (!Number.isFinite(distance)) return Number.POSITIVE_INFINITY;
    difference = Math.max(difference, distance);
    largest = Math.max(largest, Math.abs(b));
  }
  return largest === 0 ? difference : difference / largest;
}
