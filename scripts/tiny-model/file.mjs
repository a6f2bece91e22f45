/** One safetensors file of random weights, written under a temporary name and renamed. */
import { randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { availableParallelism, endianness } from 'node:os';
import { Worker } from 'node:worker_threads';
import { countElements, PIECE, writePieces } from './pieces.mjs';

/** JSON as Python's json.dumps spaces it, so that whole files are equal too. @param {unknown} value @returns {string} */
export function spacedJson(value) {
  if (Array.isArray(value)) return `[${value.map(spacedJson).join(', ')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, item]) => `${JSON.stringify(key)}: ${spacedJson(item)}`)
    .join(', ')}}`;
}

/**
 * Length field and padded JSON of a safetensors file.
 * @param {import('./layout.mjs').TensorSpec[]} tensors
 * @param {Record<string, string>} metadata
 * @param {'F16' | 'F32'} dtype
 */
export function encodeHeader(tensors, metadata, dtype) {
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
 * @param {import('./pieces.mjs').PieceJob} job
 * @param {number} count
 * @param {(bytes: number) => void} onPiece
 * @param {AbortSignal | undefined} signal
 */
async function writeWithWorkers(job, count, onPiece, signal) {
  const workers = Array.from(
    { length: count },
    () =>
      new Worker(new URL('./pieces.mjs', import.meta.url), {
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
 * @param {{ path: string, header: Buffer, tensors: import('./layout.mjs').TensorSpec[], dtype: 'F16' | 'F32', seed: number,
 *   threads?: number, onProgress?: (writtenBytes: number, totalBytes: number) => void, signal?: AbortSignal }} file
 * @returns {Promise<number>} the file's size
 */
export async function writeCheckpoint({ path, header, tensors, dtype, seed, threads, onProgress, signal }) {
  if (endianness() !== 'LE') throw new Error('safetensors files are little-endian and this machine is not');
  const elements = countElements(tensors);
  const bytes = header.length + elements * (dtype === 'F16' ? 2 : 4);
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
  return bytes;
}
