#!/usr/bin/env node
/** Starts the built command as a person would, from `--help` to a picture of a random model; says what it took. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeTinyModel } from './make-tiny-model.mjs';

const SDGEN = fileURLToPath(new URL('../bin/sdgen.mjs', import.meta.url));
const SIDE = 64;

/** Runs sdgen; throws with its error text unless it exits 0. @param {string[]} args */
function sdgen(args) {
  const begin = performance.now();
  const env = { ...process.env, SDGEN_CONFIG: join(folder, 'no-settings.json') };
  const { status, stdout, stderr } = spawnSync(process.execPath, [SDGEN, ...args], { encoding: 'utf8', env });
  if (status !== 0) throw new Error(`sdgen ${args[0]}: exit ${status}: ${stderr.trim()}`);
  return { stdout, seconds: (performance.now() - begin) / 1000 };
}

/** Width and height in a PNG's first chunk. @param {Buffer} png */
function pngSize(png) {
  if (png.toString('latin1', 1, 4) !== 'PNG') throw new Error('the picture is not a PNG');
  return [png.readUInt32BE(16), png.readUInt32BE(20)];
}

const folder = mkdtempSync(join(tmpdir(), 'sdgen-smoke-'));
try {
  const help = sdgen(['--help']);
  if (!help.stdout.includes('txt2img')) throw new Error('--help does not name txt2img');
  console.log(`--help: ${(help.seconds * 1000).toFixed(0)} ms`);
  const model = join(folder, 'micro1.safetensors');
  await makeTinyModel({ path: model, arch: 'micro1' });
  const output = join(folder, 'x.png');
  const size = ['--width', String(SIDE), '--height', String(SIDE), '--steps', '4', '--seed', '1'];
  const picture = sdgen(['txt2img', '--prompt', 'a lighthouse', ...size, '--model', model, '--output', output]);
  const [width, height] = pngSize(readFileSync(output));
  if (width !== SIDE || height !== SIDE) throw new Error(`the picture is ${width}×${height}, not ${SIDE}×${SIDE}`);
  const { stdout } = sdgen(['info', output]);
  if (!stdout.includes('Seed: 1')) throw new Error(`info does not tell the seed: ${stdout}`);
  console.log(`micro1, ${SIDE}×${SIDE}, 4 steps: ${picture.seconds.toFixed(2)} s`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
