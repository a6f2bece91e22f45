import type { Pixels } from './resize.js';

/** CIE XYZ of sRGB's primaries at D65, scaled to the white point, as OpenCV has them. */
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

const LEVELS = 256;

const linear = (level: number): number => (level <= 0.04045 ? level / 12.92 : ((level + 0.055) / 1.055) ** 2.4);
const companded = (value: number): number => (value <= 0.0031308 ? value * 12.92 : 1.055 * value ** (1 / 2.4) - 0.055);
const LINEAR = Float64Array.from({ length: LEVELS }, (_, level) => linear(level / 255));

const root = (t: number): number => (t > 0.008856 ? Math.cbrt(t) : 7.787 * t + 16 / 116);
const cube = (t: number): number => (t > 6 / 29 ? t ** 3 : (t - 16 / 116) / 7.787);
const level = (value: number): number => Math.max(0, Math.min(255, Math.round(value)));

/** L*·255/100, a* + 128 and b* + 128 of each pixel, as 8 bits hold them. */
function toLab({ data }: Pixels): Uint8Array {
  const lab = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i += 3) {
    const rgb = [LINEAR[data[i] ?? 0] ?? 0, LINEAR[data[i + 1] ?? 0] ?? 0, LINEAR[data[i + 2] ?? 0] ?? 0] as const;
    const [x, y, z] = TO_XYZ.map(
      (row, axis) => (row[0] * rgb[0] + row[1] * rgb[1] + row[2] * rgb[2]) / (WHITE[axis] ?? 1),
    );
    const [fx, fy, fz] = [root(x ?? 0), root(y ?? 0), root(z ?? 0)];
    lab[i] = level(((116 * fy - 16) * 255) / 100);
    lab[i + 1] = level(500 * (fx - fy) + 128);
    lab[i + 2] = level(200 * (fy - fz) + 128);
  }
  return lab;
}

/** Back to sRGB from unrounded values. */
function toRgb(lab: Float64Array, pixel: number): [number, number, number] {
  const fy = (((lab[pixel] ?? 0) * 100) / 255 + 16) / 116;
  const fx = fy + ((lab[pixel + 1] ?? 0) - 128) / 500;
  const fz = fy - ((lab[pixel + 2] ?? 0) - 128) / 200;
  const xyz = [cube(fx) * WHITE[0], cube(fy) * WHITE[1], cube(fz) * WHITE[2]] as const;
  const [r, g, b] = FROM_XYZ.map((row) => row[0] * xyz[0] + row[1] * xyz[1] + row[2] * xyz[2]);
  return [r, g, b].map((value) => level(255 * companded(Math.max(0, Math.min(1, value ?? 0))))) as [
    number,
    number,
    number,
  ];
}

/** The share of values up to each level, of one channel. */
function shares(values: Uint8Array, channel: number): Float64Array {
  const counts = new Float64Array(LEVELS);
  for (let i = channel; i < values.length; i += 3) counts[values[i] ?? 0] = (counts[values[i] ?? 0] ?? 0) + 1;
  let sum = 0;
  return counts.map((count) => {
    sum += count;
    return sum / (values.length / 3);
  });
}

/** For each level of `from` the level of `to` with the same share below it, linear between the levels that `to` has. */
function matching(from: Float64Array, to: Float64Array): Float64Array {
  const places = [...to.keys()].filter((i) => (to[i] ?? 0) > (i === 0 ? 0 : (to[i - 1] ?? 0)));
  return from.map((share) => {
    const next = places.findIndex((place) => (to[place] ?? 0) >= share);
    if (next <= 0) return next < 0 ? (places.at(-1) ?? 0) : (places[0] ?? 0);
    const [low = 0, high = 0] = [places[next - 1], places[next]];
    const [below, above] = [to[low] ?? 0, to[high] ?? 0];
    return low + ((high - low) * (share - below)) / (above - below);
  });
}

const luminosity = (r: number, g: number, b: number): number => 0.3 * r + 0.59 * g + 0.11 * b;

/** The colour with another luminosity, clipped towards grey (W3C Compositing, SetLum). */
function withLuminosity(colour: readonly [number, number, number], wanted: number): [number, number, number] {
  const shift = wanted - luminosity(...colour);
  const moved = colour.map((value) => value + shift) as [number, number, number];
  const own = luminosity(...moved);
  const [least, most] = [Math.min(...moved), Math.max(...moved)];
  return moved.map((value) => {
    let clipped = value;
    if (least < 0) clipped = own + ((clipped - own) * own) / (own - least);
    if (most > 255) clipped = own + ((clipped - own) * (255 - own)) / (most - own);
    return clipped;
  }) as [number, number, number];
}

/**
 * A picture with the colours of another, both RGB: the histograms of L*, a* and b* are matched to the other's, and the
 * result keeps the picture's own luminosity, as the webui's colour correction does it.
 */
export function correctColours(image: Pixels, like: Pixels): Pixels {
  const [own, other] = [toLab(image), toLab(like)];
  const tables = [0, 1, 2].map((channel) => matching(shares(own, channel), shares(other, channel)));
  const matched = Float64Array.from(own, (value, i) => tables[i % 3]?.[value] ?? 0);
  const data = new Uint8Array(image.data.length);
  for (let i = 0; i < data.length; i += 3) {
    const wanted = luminosity(image.data[i] ?? 0, image.data[i + 1] ?? 0, image.data[i + 2] ?? 0);
    const colour = withLuminosity(toRgb(matched, i), wanted);
    for (let c = 0; c < 3; c += 1) data[i + c] = Math.max(0, Math.min(255, Math.trunc(colour[c] ?? 0)));
  }
  return { ...image, data };
}
