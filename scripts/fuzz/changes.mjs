/** Random changes of inputs, the same for the same seed: the driver of the native targets has them in C++. */
import { crc32 } from 'node:zlib';

export const MAX_INPUT = 4096;

/** A generator of whole numbers. */
export class Draws {
  #state;
  /** @param {number} seed */
  constructor(seed) {
    this.#state = BigInt(seed);
  }
  /** A number from 0 to `bound` − 1. @param {number} bound */
  below(bound) {
    this.#state = (this.#state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn;
    return Number((this.#state >> 33n) % BigInt(bound));
  }
  /** @template T @param {readonly T[]} list @returns {T} */
  of(list) {
    return /** @type {T} */ (list[this.below(list.length)]);
  }
}

/** @type {((input: Buffer, draws: Draws, corpus: readonly Buffer[], words: readonly string[]) => Buffer)[]} */
const CHANGES = [
  (input, draws) => {
    const changed = Buffer.from(input);
    if (input.length > 0) changed[draws.below(input.length)] ^= 1 << draws.below(8);
    return changed;
  },
  (input, draws) => {
    const changed = Buffer.from(input);
    if (input.length > 0) changed[draws.below(input.length)] = draws.of([0, 1, 0x7f, 0x80, 0xff, draws.below(256)]);
    return changed;
  },
  (input, draws) => {
    const at = draws.below(input.length + 1);
    return Buffer.concat([input.subarray(0, at), input.subarray(at + draws.below(64) + 1)]);
  },
  (input, draws, _corpus, words) => {
    const at = draws.below(input.length + 1);
    return Buffer.concat([input.subarray(0, at), Buffer.from(draws.of(words)), input.subarray(at)]);
  },
  (input, draws) => {
    const at = draws.below(input.length + 1);
    const piece = input.subarray(at, at + draws.below(64) + 1);
    const target = draws.below(input.length + 1);
    const times = draws.below(8) === 0 ? 1 + draws.below(40) : 1;
    return Buffer.concat([input.subarray(0, target), ...Array(times).fill(piece), input.subarray(target)]);
  },
  (input, draws, corpus) => {
    const other = draws.of(corpus);
    return Buffer.concat([
      input.subarray(0, draws.below(input.length + 1)),
      other.subarray(draws.below(other.length + 1)),
    ]);
  },
  (input, draws) => input.subarray(0, draws.below(input.length + 1)),
];

/**
 * An input with up to five changes.
 * @param {Buffer} input @param {readonly Buffer[]} corpus @param {readonly string[]} words @param {Draws} draws
 */
export function change(input, corpus, words, draws) {
  let changed = input;
  for (let edits = 1 + draws.below(5); edits > 0; edits -= 1)
    changed = draws.of(CHANGES)(changed, draws, corpus, words);
  return changed.subarray(0, MAX_INPUT);
}

/** A PNG whose chunks' lengths and checksums are made right as far as they go: most changes would fail there. @param {Buffer} png */
export function mendPng(png) {
  const mended = Buffer.from(png);
  for (let start = 8; start + 12 <= mended.length; ) {
    const room = mended.length - start - 12;
    if (mended.readUInt32BE(start) > room) mended.writeUInt32BE(room, start);
    const end = start + 12 + mended.readUInt32BE(start);
    mended.writeUInt32BE(crc32(mended.subarray(start + 4, end - 4)), end - 4);
    start = end;
  }
  return mended;
}
