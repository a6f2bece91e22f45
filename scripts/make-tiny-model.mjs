#!/usr/bin/env node
/**
 * Writes a Stable Diffusion checkpoint with random weights: same names, shapes and file layout as a real one, and
 * the same bytes on every machine. Small ones are for tests and first tries, full-size ones for measuring.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { availableParallelism, endianness } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { ARCHITECTURES, metadataOf, tensorsOf } from './tiny-model/layout.mjs';
import { countElements, PIECE, writePieces } from './tiny-model/pieces.mjs';

export const ARCH_NAMES = Object.keys(ARCHITECTURES);
const DTYPES = ['F16', 'F32'];
const USAGE = `usage: node scripts/make-tiny-model.mjs OUT.safetensors --arch ${ARCH_NAMES.join('|')} [--dtype F16|F32] [--seed 7] [--force]`;

class UsageError extends Error {}

/** JSON as Python's json.dumps spaces it, so that whole files are equal too. @param {unknown} value @returns {string} */
function spacedJson(value) {
  if (Array.isArray(value)) return `[${value.map(spacedJson).join(', ')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, item]) => `${JSON.stringify(key)}: ${spacedJson(item)}`)
    .join(', ')}}`;
}

/**
 * Length field and padded JSON of a safetensors file.
 * @param {import('./tiny-model/layout.mjs').TensorSpec[]} tensors
 * @param {Record<string, string>} metadata
 * @param {'F16' | 'F32'} dtype
 */
function encodeHeader(tensors, metadata, dtype) {
  /** @type {Record<string, unknown>} */
  const header = { __metadata__: metadata };
  let offset = 0;
  for (const { name, shape, elements } of tensors) {
    const end = offset + elements * (dtype === 'F16' ? 2 : 4);
    header[name] = { dtype, shape, data_offsets: [offset, end] };
    offset = end;
  }
  const json = spacedJson(header);
  const padded = Math.ceil(json.length / 8) * 8;
  const bytes = Buffer.alloc(8 + padded, ' ');
  bytes.writeBigUInt64LE(BigInt(padded), 0);
  bytes.write(json, 8, 'ascii');
  return bytes;
}

/**
 * Runs `count` workers over the job's pieces.
 * @param {import('./tiny-model/pieces.mjs').PieceJob} job
 * @param {number} count
 * @param {(bytes: number) => void} onPiece
 * @param {AbortSignal | undefined} signal
 */
async function writeWithWorkers(job, count, onPiece, signal) {
  const workers = Array.from(
    { length: count },
    () =>
      new Worker(new URL('./tiny-model/pieces.mjs', import.meta.url), {
        workerData: { job: 'tiny-model-pieces', ...job },
      }),
  );
  const ends = workers.map(
    (worker) =>
      /** @type {Promise<void>} */ (
        new Promise((resolve, reject) => {
          worker.on('message', onPiece);
          worker.once('error', reject);
          worker.once('exit', (code) => (code === 0 ? resolve() : reject(new Error('a writing thread was stopped'))));
        })
      ),
  );
  const stop = () => Promise.all(workers.map((worker) => worker.terminate()));
  signal?.addEventListener('abort', stop, { once: true });
  try {
    await Promise.all(ends);
  } finally {
    signal?.removeEventListener('abort', stop);
    await stop();
    await Promise.allSettled(ends);
  }
}

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
  const { threads, onProgress, signal } = rest;
  const chosen = ARCHITECTURES[arch];
  if (chosen === undefined) throw new UsageError(`unknown arch "${arch}"; known: ${ARCH_NAMES.join(', ')}`);
  if (endianness() !== 'LE') throw new Error('safetensors files are little-endian and this machine is not');
  const tensors = tensorsOf(chosen);
  const header = encodeHeader(tensors, metadataOf(chosen), dtype);
  const elements = countElements(tensors);
  const bytes = header.length + elements * (dtype === 'F16' ? 2 : 4);
  if (!force) await refuseToOverwrite(path, header);
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`;
  let written = header.length;
  const onPiece = (/** @type {number} */ more) => {
    written += more;
    onProgress?.(written, bytes);
  };
  try {
    const file = await open(temporary, 'wx');
    try {
      await file.write(header, 0, header.length, 0);
      const next = new SharedArrayBuffer(4);
      const job = { fd: file.fd, dataStart: header.length, tensors, dtype, seed, next };
      const workers = Math.min(threads ?? availableParallelism(), Math.ceil(elements / PIECE));
      if (workers <= 1) writePieces(job, onPiece);
      else await writeWithWorkers(job, workers, onPiece, signal);
    } finally {
      await file.close();
    }
    signal?.throwIfAborted();
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  return { tensors: tensors.length, bytes };
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
        force: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
  const { arch, dtype, seed, force, help } = parsed.values;
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
  return { path, arch, dtype: /** @type {'F16' | 'F32'} */ (dtype), seed: Number(seed), force };
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
    const { tensors, bytes } = await makeTinyModel({ ...options, onProgress, ...(signal ? { signal } : {}) });
    streams.out(`${options.path}: ${tensors} tensors, ${mib(bytes)}, random weights (seed ${options.seed})`);
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
