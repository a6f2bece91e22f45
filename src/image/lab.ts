/**
 * sRGB to L*a*b* at D65 and back, 8 bits each way, by the whole numbers that OpenCV computes with: the same bytes. L* is
 * scaled to 0 … 255; a* and b* have 128 added.
 */

const LEVELS = 256;
/** Fraction bits of the matrices, of f(t) and of linear levels on the way to L*a*b*. */
const SHIFT = 12;
const ROOT_SHIFT = 15;
const GAMMA_SHIFT = 3;
/** On the way back: one, and the steps of linear light that levels are looked up by. */
const ONE_SHIFT = 14;
const ONE = 1 << ONE_SHIFT;
const STEPS = 1 << SHIFT;

/** CIE XYZ of sRGB's primaries and its inverse, and the white point. */
const TO_XYZ = [
  [0.412453, 0.35758, 0.180423],
  [0.212671, 0.71516, 0.072169],
  [0.019334, 0.119193, 0.950227],
] as const;
const FROM_XYZ = [
  [3.240479, -1.53715, -0.498535],
  [-0.969256, 1.875991, 0.041556],
  [0.055648, -0.204043, 1.057311],
] as const;
const WHITE = [0.950456, 1, 1.088754] as const;

type Row = readonly [number, number, number];
type Matrix = readonly [Row, Row, Row];

const fixed = (value: number): number => Math.round(value * (1 << SHIFT));
const TO = TO_XYZ.map((row, axis) => row.map((value) => fixed(value / (WHITE[axis] ?? 1)))) as unknown as Matrix;
const FROM = FROM_XYZ.map((row) => row.map((value, axis) => fixed(value * (WHITE[axis] ?? 1)))) as unknown as Matrix;

/** value / 2^shift, rounded. */
const descale = (value: number, shift: number): number => (value + (1 << (shift - 1))) >> shift;
const clamp = (value: number, most: number): number => Math.max(0, Math.min(most, value));
/** To the nearest whole number, from the middle to the even one. */
function roundToEven(value: number): number {
  const down = Math.floor(value);
  const rest = value - down;
  if (rest === 0.5) return down % 2 === 0 ? down : down + 1;
  return rest > 0.5 ? down + 1 : down;
}

const linear = (level: number): number => (level <= 0.04045 ? level / 12.92 : ((level + 0.055) / 1.055) ** 2.4);
const companded = (value: number): number => (value <= 0.0031308 ? value * 12.92 : 1.055 * value ** (1 / 2.4) - 0.055);

/** Linear light of a level, 255·8 for white. */
const LIGHT = Int32Array.from({ length: LEVELS }, (_, i) => Math.round(255 * (1 << GAMMA_SHIFT) * linear(i / 255)));
const LEVEL_OF = Uint8Array.from({ length: STEPS }, (_, i) => Math.round(255 * companded(i / STEPS)));

/** Where OpenCV's own cube root lies one bit of float32 below the nearest value, which the rounding shows. */
const LOW_ROOT = 324;

/** f(t) of CIE 1976 by t in steps of 1/(255·8), up to 1.5; float32 where OpenCV rounds to it. */
const F = Int32Array.from({ length: ((LEVELS * 3) << GAMMA_SHIFT) / 2 }, (_, i) => {
  const t = Math.fround(i * Math.fround(1 / (255 << GAMMA_SHIFT)));
  const straight = Math.fround(Math.fround(t * Math.fround(7.787)) + Math.fround(16 / 116));
  const f = t < Math.fround(0.008856) ? straight : Math.fround(Math.cbrt(t));
  return roundToEven(f * (1 << ROOT_SHIFT)) - (i === LOW_ROOT ? 1 : 0);
});

/** RGB to L*a*b*, three bytes a pixel. */
export function toLab(data: Uint8Array): Uint8Array {
  const lab = new Uint8Array(data.length);
  const unit = 1 << ROOT_SHIFT;
  const scale = Math.trunc((116 * 255 + 50) / 100);
  const shift = Math.trunc((16 * 255 * unit + 50) / 100);
  for (let i = 0; i < data.length; i += 3) {
    const [r, g, b] = [LIGHT[data[i] ?? 0] ?? 0, LIGHT[data[i + 1] ?? 0] ?? 0, LIGHT[data[i + 2] ?? 0] ?? 0];
    const f = (row: Row): number => F[descale(row[0] * r + row[1] * g + row[2] * b, SHIFT)] ?? 0;
    const [fx, fy, fz] = [f(TO[0]), f(TO[1]), f(TO[2])];
    lab[i] = clamp(descale(scale * fy - shift, ROOT_SHIFT), 255);
    lab[i + 1] = clamp(descale(500 * (fx - fy) + 128 * unit, ROOT_SHIFT), 255);
    lab[i + 2] = clamp(descale(200 * (fy - fz) + 128 * unit, ROOT_SHIFT), 255);
  }
  return lab;
}

/** L* up to here, 8·255/100, lies on the straight part. */
const STRAIGHT = 20;
const lightness = (l: number): number => (l * 100 * ONE) / (255 * 116) + (16 * ONE) / 116;
/** f(Y) and Y of a lightness. */
const F_OF_L = Int32Array.from({ length: LEVELS }, (_, l) =>
  Math.round(l <= STRAIGHT ? ONE * (16 / 116 + (l * 5) / (3 * 17 * 29)) : lightness(l)),
);
const Y_OF_L = Int32Array.from({ length: LEVELS }, (_, l) =>
  Math.round(l <= STRAIGHT ? (l * ONE * 180) / (17 * 29 ** 3) : lightness(l) ** 3 / ONE ** 2),
);

/** X or Z by f: f³, or the straight part below 6/29. */
function cube(f: number): number {
  if (f > 3390) return Math.trunc((Math.trunc((f * f) / ONE) * f) / ONE);
  return Math.trunc((f * 108) / 841) - Math.trunc((Math.trunc((ONE * 16) / 116) * 108) / 841);
}

/** L*a*b* to RGB, three bytes a pixel. */
export function fromLab(lab: Uint8Array): Uint8Array {
  const rgb = new Uint8Array(lab.length);
  for (let i = 0; i < lab.length; i += 3) {
    const fy = F_OF_L[lab[i] ?? 0] ?? 0;
    const y = Y_OF_L[lab[i] ?? 0] ?? 0;
    // (a − 128)/500 and (b − 128)/200.
    const x = cube(fy + ((5 * (lab[i + 1] ?? 0) * 53_687 + (1 << 7)) >> 13) - Math.trunc((128 * ONE) / 500));
    const z = cube(fy - (((lab[i + 2] ?? 0) * 41_943 + (1 << 4)) >> 9) + Math.trunc((128 * ONE) / 200) - 1);
    for (const [c, row] of FROM.entries()) {
      const light = descale(row[0] * x + row[1] * y + row[2] * z, ONE_SHIFT);
      rgb[i + c] = LEVEL_OF[clamp(light, STEPS - 1)] ?? 0;
    }
  }
  return rgb;
}
