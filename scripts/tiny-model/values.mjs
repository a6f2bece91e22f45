/**
 * Random weights from integers alone, so that every machine and language writes the same bits.
 *
 * Element i of a tensor: k1 = FNV-1a of its name, k2 = fmix32(seed + 0x9E3779B9); a = fmix32(i + k1 + k2),
 * b = fmix32(a ^ k1). The sum of the four 16-bit halves of a and b, less 131070 and divided by 37837.2, has mean 0
 * and variance 1. It takes 262141 values only, so a table per kind and fan-in holds every possible weight.
 */

const HALVES_MEAN = 131070;
const HALVES_DEVIATION = 37837.2;
const TABLE_LENGTH = 4 * 0xffff + 1;

/**
 * MurmurHash3's 32-bit finaliser.
 * @param {number} value
 */
export function fmix32(value) {
  let h = value ^ (value >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/**
 * FNV-1a, 32 bits, of the UTF-8 bytes.
 * @param {string} text
 */
export function fnv1a(text) {
  let h = 0x811c9dc5;
  for (const byte of Buffer.from(text, 'utf8')) h = Math.imul(h ^ byte, 0x01000193);
  return h;
}

const scratch = new DataView(new ArrayBuffer(4));

/**
 * Bits of the IEEE half nearest to a float32, ties to even; overflow gives infinity, NaN a quiet NaN.
 * @param {number} value a float32 value
 */
export function halfBits(value) {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  // A subnormal half is a multiple of 2^-24: dropping `shift` bits of the float's mantissa counts them.
  const subnormal = magnitude < 0x38800000;
  const exponent = magnitude >>> 23;
  const shift = subnormal ? 126 - exponent : 13;
  if (shift > 24) return sign;
  const mantissa = subnormal ? (magnitude & 0x7fffff) | 0x800000 : magnitude - 0x38000000;
  const kept = mantissa >>> shift;
  const rest = mantissa & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  const up = rest > half || (rest === half && (kept & 1) === 1);
  return sign | (kept + (up ? 1 : 0));
}

/**
 * @param {import('./layout.mjs').TensorKind} kind
 * @param {number} draw
 * @param {number} weightScale 1 / sqrt(fan-in)
 */
function weightOf(kind, draw, weightScale) {
  switch (kind) {
    case 'weight':
      return draw * weightScale;
    case 'bias':
      return draw * 0.02;
    case 'gain':
      return 1 + draw * 0.05;
    case 'embedding':
      return draw * 0.5;
  }
}

/**
 * Every value a tensor can hold, by the sum of its four halves: float64 arithmetic, rounded to float32, then to
 * the file's type.
 * @param {import('./layout.mjs').TensorKind} kind
 * @param {number} fanIn
 * @param {'F16' | 'F32'} dtype
 * @returns {Uint16Array | Float32Array}
 */
export function valueTable(kind, fanIn, dtype) {
  const table = dtype === 'F16' ? new Uint16Array(TABLE_LENGTH) : new Float32Array(TABLE_LENGTH);
  const weightScale = 1 / Math.sqrt(fanIn);
  for (let sum = 0; sum < TABLE_LENGTH; sum++) {
    const value = Math.fround(weightOf(kind, (sum - HALVES_MEAN) / HALVES_DEVIATION, weightScale));
    table[sum] = dtype === 'F16' ? halfBits(value) : value;
  }
  return table;
}

/**
 * Fills `out` with elements start … start + out.length - 1 of a tensor.
 * @param {Uint16Array | Float32Array} out
 * @param {Uint16Array | Float32Array} table
 * @param {string} name
 * @param {number} seed
 * @param {number} start
 */
export function fillValues(out, table, name, seed, start) {
  const k1 = fnv1a(name);
  const base = (start + k1 + fmix32((seed + 0x9e3779b9) | 0)) | 0;
  const count = out.length;
  for (let i = 0; i < count; i++) {
    const a = fmix32((base + i) | 0);
    const b = fmix32(a ^ k1);
    out[i] = table[(a & 0xffff) + (a >>> 16) + (b & 0xffff) + (b >>> 16)];
  }
}
