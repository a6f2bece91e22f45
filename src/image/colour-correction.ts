import { fromLab, toLab } from './lab.js';
import type { Pixels } from './resize.js';

const LEVELS = 256;

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

/**
 * For each level of `from` the level of `to` with the same share below it, linear between the levels that `to` has, cut to a
 * whole number: scikit-image's `match_histograms` of 8 bits.
 */
function matching(from: Float64Array, to: Float64Array): Uint8Array {
  const places = [...to.keys()].filter((i) => (to[i] ?? 0) > (i === 0 ? 0 : (to[i - 1] ?? 0)));
  return Uint8Array.from(from, (share) => {
    const next = places.findIndex((place) => (to[place] ?? 0) > share);
    if (next < 0) return places.at(-1) ?? 0;
    if (next === 0) return places[0] ?? 0;
    const [low = 0, high = 0] = [places[next - 1], places[next]];
    const [below, above] = [to[low] ?? 0, to[high] ?? 0];
    return Math.trunc(((high - low) / (above - below)) * (share - below) + low);
  });
}

type Colour = readonly [number, number, number];

const luminosity = ([r, g, b]: Colour): number => r * 0.299 + g * 0.587 + b * 0.114;

/** A colour in 0 … 1 with another luminosity, clipped towards grey (W3C Compositing, SetLum). */
function withLuminosity(colour: Colour, wanted: number): Colour {
  const shift = wanted - luminosity(colour);
  const moved = colour.map((value) => value + shift) as unknown as Colour;
  const own = luminosity(moved);
  const [least, most] = [Math.min(...moved), Math.max(...moved)];
  return moved.map((value) => {
    const raised = least < 0 ? own + ((value - own) * own) / (own - least) : value;
    return most > 1 ? own + ((raised - own) * (1 - own)) / (most - own) : raised;
  }) as unknown as Colour;
}

const colourAt = (data: Uint8Array, i: number): Colour => [
  (data[i] ?? 0) / 255,
  (data[i + 1] ?? 0) / 255,
  (data[i + 2] ?? 0) / 255,
];

/**
 * A picture with the colours of another, both RGB: the histograms of L*, a* and b* are matched to the other's, and the
 * result keeps the picture's own luminosity, as the webui's colour correction does it: the same bytes
 * (scripts/webui-pictures.py).
 */
export function correctColours(image: Pixels, like: Pixels): Pixels {
  const [own, other] = [toLab(image.data), toLab(like.data)];
  const tables = [0, 1, 2].map((channel) => matching(shares(own, channel), shares(other, channel)));
  const matched = fromLab(own.map((value, i) => tables[i % 3]?.[value] ?? 0));
  const data = new Uint8Array(image.data.length);
  for (let i = 0; i < data.length; i += 3) {
    const colour = withLuminosity(colourAt(matched, i), luminosity(colourAt(image.data, i)));
    for (let c = 0; c < 3; c += 1) data[i + c] = Math.trunc(Math.max(0, Math.min(1, colour[c] ?? 0)) * 255);
  }
  return { ...image, data };
}
