/**
 * The data section of a checkpoint in pieces of equal size, each computed alone: any thread may write any piece.
 * Started as a worker it takes pieces from a shared counter until none is left.
 */
import { writeSync } from 'node:fs';
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { fillValues, valueTable } from './values.mjs';

/** Elements a piece. */
export const PIECE = 1 << 22;

/**
 * @typedef {{ fd: number, dataStart: number, tensors: import('./layout.mjs').TensorSpec[], dtype: 'F16' | 'F32',
 *   seed: number, next: SharedArrayBuffer }} PieceJob
 */

/** @param {import('./layout.mjs').TensorSpec[]} tensors */
export function countElements(tensors) {
  return tensors.reduce((sum, tensor) => sum + tensor.elements, 0);
}

/** Writes all of `bytes` at `position`. @param {number} fd @param {Uint8Array} bytes @param {number} position */
function writeFully(fd, bytes, position) {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(fd, bytes, done, bytes.length - done, position + done);
  }
}

/**
 * Takes pieces until none is left.
 * @param {PieceJob} job
 * @param {(bytes: number) => void} onPiece called after each piece with its size
 */
export function writePieces(job, onPiece) {
  const { fd, dataStart, tensors, dtype, seed } = job;
  const next = new Int32Array(job.next);
  const total = countElements(tensors);
  const width = dtype === 'F16' ? 2 : 4;
  const piece = dtype === 'F16' ? new Uint16Array(Math.min(PIECE, total)) : new Float32Array(Math.min(PIECE, total));
  /** @type {Map<string, Uint16Array | Float32Array>} */
  const tables = new Map();
  for (;;) {
    const begin = Atomics.add(next, 0, 1) * PIECE;
    if (begin >= total) return;
    const end = Math.min(begin + PIECE, total);
    let first = 0;
    for (const { name, kind, fanIn, elements, draws = name, firstDraw = 0 } of tensors) {
      const from = Math.max(begin, first);
      const to = Math.min(end, first + elements);
      if (from < to) {
        const key = kind === 'weight' ? `weight/${fanIn}` : kind;
        const table = tables.get(key) ?? valueTable(kind, fanIn, dtype);
        tables.set(key, table);
        fillValues(piece.subarray(from - begin, to - begin), table, draws, seed, firstDraw + from - first);
      }
      first += elements;
    }
    const bytes = new Uint8Array(piece.buffer, 0, (end - begin) * width);
    writeFully(fd, bytes, dataStart + begin * width);
    onPiece(bytes.length);
  }
}

if (!isMainThread && parentPort !== null && workerData?.job === 'tiny-model-pieces') {
  const port = parentPort;
  writePieces(workerData, (bytes) => port.postMessage(bytes));
}
