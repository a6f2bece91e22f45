#!/usr/bin/env node
/**
 * Writes a Stable Diffusion checkpoint with random weights: same names, shapes and file layout as a real one, and
 * the same bytes on every machine. Small ones are for tests and first tries, full-size ones for measuring.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { encodeHeader, writeCheckpoint } from './tiny-model/file.mjs';
import { writeFolder } from './tiny-model/folder.mjs';
import { ARCHITECTURES, metadataOf, tensorsOf } from './tiny-model/layout.mjs';

export const ARCH_NAMES = Object.keys(ARCHITECTURES);
const DTYPES = ['F16', 'F32'];
const USAGE =
  `usage: node scripts/make-tiny-model.mjs OUT --arch ${ARCH_NAMES.join('|')} [--dtype F16|F32] [--seed 7] [--force]\n` +
  '       [--layout single|diffusers] [--variant fp16] [--shards N]   (a file, or a folder of diffusers)';

class UsageError extends Error {}

/**
 * An existing file may be replaced if it is such a checkpoint itself: another is one command away.
 * @param {string} path @param {Buffer} header
 */
async function refuseToOverwrite(path, header) {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isFile()) throw new Error(`${path}: not a file; name a file to write`);
  const file = await open(path, 'r');
  try {
    const start = Buffer.alloc(header.length);
    await file.read(start, 0, start.length, 0);
    if (!start.equals(header)) throw new Error(`${path}: exists and holds something else; give --force to replace it`);
  } finally {
    await file.close();
  }
}

/**
 * Writes the checkpoint under a temporary name in the same folder, then renames it.
 * @param {{ path: string, arch: string, dtype?: 'F16' | 'F32', seed?: number, force?: boolean, threads?: number,
 *   onProgress?: (writtenBytes: number, totalBytes: number) => void, signal?: AbortSignal }} options
 * @returns {Promise<{ tensors: number, bytes: number }>} tensors and size of the file
 * @throws {Error} unknown arch; a file of something else is in the way; what the file system says; stopped
 */
export async function makeTinyModel({ path, arch, dtype = 'F16', seed = 7, force = false, ...rest }) {
  const chosen = ARCHITECTURES[arch];
  if (chosen === undefined) throw new UsageError(`unknown arch "${arch}"; known: ${ARCH_NAMES.join(', ')}`);
  const tensors = tensorsOf(chosen);
  const header = encodeHeader(tensors, metadataOf(chosen), dtype);
  if (!force) await refuseToOverwrite(path, header);
  await mkdir(dirname(path), { recursive: true });
  const bytes = await writeCheckpoint({ path, header, tensors, dtype, seed, ...rest });
  return { tensors: tensors.length, bytes };
}

/**
 * Writes the same networks as a folder of diffusers, with its tokenizer: under a temporary name, then renamed.
 * @param {{ path: string, arch: string, dtype?: 'F16' | 'F32', seed?: number, force?: boolean, threads?: number,
 *   variant?: string, shards?: number, signal?: AbortSignal }} options `variant`: "fp16" names the weights so; `shards`:
 *   files for each part's weights
 * @returns {Promise<{ tensors: number, bytes: number }>}
 * @throws {Error} as makeTinyModel
 */
export async function makeTinyFolder({ path, arch, force = false, ...rest }) {
  const chosen = ARCHITECTURES[arch];
  if (chosen === undefined) throw new UsageError(`unknown arch "${arch}"; known: ${ARCH_NAMES.join(', ')}`);
  if (!force && (await stat(path).catch(() => undefined)) !== undefined) {
    throw new Error(`${path}: exists; give --force to replace it`);
  }
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`;
  try {
    const written = await writeFolder({ path: temporary, arch: chosen, ...rest });
    rest.signal?.throwIfAborted();
    if (force) await rm(path, { recursive: true, force: true });
    await rename(temporary, path);
    return written;
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw error;
  }
}

/** @param {string[]} argv */
function parseCommandLine(argv) {
  let parsed;
  try {
    parsed = parseArgs({
      args: argv,
      allowPositionals: true,
      options: {
        arch: { type: 'string' },
        dtype: { type: 'string', default: 'F16' },
        seed: { type: 'string', default: '7' },
        layout: { type: 'string', default: 'single' },
        variant: { type: 'string' },
        shards: { type: 'string', default: '1' },
        force: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
  const { arch, dtype, seed, force, help, layout, variant, shards } = parsed.values;
  const [path, ...surplus] = parsed.positionals;
  if (help) return undefined;
  if (path === undefined) throw new UsageError('name the file to write');
  if (surplus.length > 0) throw new UsageError(`one file at a time; "${surplus[0]}" is one too many`);
  if (arch === undefined) throw new UsageError('--arch is missing');
  if (!ARCH_NAMES.includes(arch)) throw new UsageError(`--arch "${arch}" is unknown; known: ${ARCH_NAMES.join(', ')}`);
  if (dtype !== 'F16' && dtype !== 'F32') {
    throw new UsageError(`--dtype "${dtype}" is unknown; known: ${DTYPES.join(', ')}`);
  }
  if (!/^\d{1,10}$/.test(seed) || Number(seed) > 0xffffffff) {
    throw new UsageError(`--seed "${seed}" is not an integer from 0 to 4294967295`);
  }
  if (layout !== 'single' && layout !== 'diffusers')
    throw new UsageError(`--layout "${layout}" is unknown; known: single, diffusers`);
  if (variant !== undefined && !/^\w{1,16}$/.test(variant))
    throw new UsageError(`--variant "${variant}" is not a short word`);
  if (!/^[1-9]\d?$/.test(shards)) throw new UsageError(`--shards "${shards}" is not a number from 1 to 99`);
  if (layout === 'single' && (variant !== undefined || shards !== '1')) {
    throw new UsageError('--variant and --shards are for --layout diffusers');
  }
  const common = { path, arch, dtype: /** @type {'F16' | 'F32'} */ (dtype), seed: Number(seed), force };
  return {
    layout,
    common,
    folder: { ...common, shards: Number(shards), ...(variant === undefined ? {} : { variant }) },
  };
}

/**
 * The command line: exit code 0, 1 (failure) or 2 (usage).
 * @param {string[]} argv without node and script
 * @param {{ out: (line: string) => void, err: (text: string) => void, tty: boolean }} streams
 */
export async function main(argv, streams, /** @type {AbortSignal | undefined} */ signal = undefined) {
  const mib = (/** @type {number} */ bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  try {
    const options = parseCommandLine(argv);
    if (options === undefined) {
      streams.out(USAGE);
      return 0;
    }
    const onProgress = (/** @type {number} */ done, /** @type {number} */ total) => {
      if (streams.tty) streams.err(`\r${mib(done)} of ${mib(total)}${done === total ? '\n' : ''}`);
    };
    const { layout, common, folder } = options;
    const stop = signal ? { signal } : {};
    const made =
      layout === 'single' ? makeTinyModel({ ...common, onProgress, ...stop }) : makeTinyFolder({ ...folder, ...stop });
    const { tensors, bytes } = await made;
    streams.out(`${common.path}: ${tensors} tensors, ${mib(bytes)}, random weights (seed ${common.seed})`);
    return 0;
  } catch (error) {
    if (signal?.aborted) return 130;
    const usage = error instanceof UsageError;
    streams.err(`make-tiny-model: ${error instanceof Error ? error.message : error}\n${usage ? `${USAGE}\n` : ''}`);
    return usage ? 2 : 1;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const interrupt = new AbortController();
  process.once('SIGINT', () => interrupt.abort());
  const streams = {
    out: (/** @type {string} */ line) => console.log(line),
    err: (/** @type {string} */ text) => process.stderr.write(text),
    tty: process.stderr.isTTY === true,
  };
  process.exitCode = await main(process.argv.slice(2), streams, interrupt.signal);
}
