import { describe, expect, it } from 'vitest';
import { fixturePath } from '../support/eval.js';
import { readSafetensors } from '../support/safetensors.js';
import { analyticDenoiser, rowsError, runSampler } from '../support/sampler-run.js';

/**
 * DPM fast, DPM adaptive and Restart against their algorithms in float64, written here from the papers. The bound is
 * that of the samplers which have a fixture.
 */
const BOUND = 1e-5;
const fixture = readSafetensors(fixturePath('k_diffusion_samplers.safetensors'));
const x0 = fixture.get('x0');
const noise = fixture.get('noise');
const size = x0.data.length;
const START = 14.6146421;
const END = 0.0291671582;

type Values = readonly number[];
const noiseAt = (draw: number): Values => Array.from(noise.data.subarray(draw * size, (draw + 1) * size));
const join = (x: Values, f: (value: number, k: number) => number): number[] => x.map(f);
const epsilon = (x: Values, sigma: number): number[] => join(x, (v) => (v - analyticDenoiser(v, sigma)) / sigma);
const at = (values: Values, k: number): number => values[k] ?? Number.NaN;

/** The step of order n from sigma s to r (Lu et al. 2022, algorithms 1, 2 and DPM-Solver-1). */
function dpmStep(n: number, x: Values, s: number, r: number, second = n === 3 ? 1 / 3 : 1 / 2): number[] {
  const h = Math.log(s / r);
  const sigma = (part: number): number => s * Math.exp(-part * h);
  const e = epsilon(x, s);
  const first = (part: number): number[] => join(x, (v, k) => v - sigma(part) * Math.expm1(part * h) * at(e, k));
  if (n === 1) return first(1);
  const e1 = epsilon(first(second), sigma(second));
  if (n === 2) {
    const bend = (r * Math.expm1(h)) / (2 * second);
    return join(first(1), (v, k) => v - bend * (at(e1, k) - at(e, k)));
  }
  const part = 2 / 3;
  const middleBend = ((sigma(part) * part) / second) * (Math.expm1(part * h) / (part * h) - 1);
  const middle = join(first(part), (v, k) => v - middleBend * (at(e1, k) - at(e, k)));
  const e2 = epsilon(middle, sigma(part));
  const bend = (r / part) * (Math.expm1(h) / h - 1);
  return join(first(1), (v, k) => v - bend * (at(e2, k) - at(e, k)));
}

/** Where an ancestral step goes down to, not beyond the end, and how much noise brings it up to `to`. */
function ancestral(from: number, to: number, eta: number): { down: number; up: number } {
  const up = Math.min(to, eta * Math.sqrt((to ** 2 * (from ** 2 - to ** 2)) / from ** 2));
  const down = Math.max(END32, Math.sqrt(to ** 2 - up ** 2));
  return { down, up: Math.sqrt(Math.max(0, to ** 2 - down ** 2)) };
}
const START32 = Math.fround(START);
const END32 = Math.fround(END);

function dpmFast(evaluations: number, eta: number): number[][] {
  const m = Math.floor(evaluations / 3) + 1;
  const rest = evaluations % 3;
  const orders = rest === 0 ? [...Array(m - 2).fill(3), 2, 1] : [...Array(m - 1).fill(3), rest];
  const sigma = (i: number): number => START32 * (END32 / START32) ** (i / m);
  let x = Array.from(x0.data, (v) => v * START32);
  const rows = [x];
  for (const [i, order] of orders.entries()) {
    const { down, up } = eta > 0 ? ancestral(sigma(i), sigma(i + 1), eta) : { down: sigma(i + 1), up: 0 };
    const z = noiseAt(i);
    x = join(dpmStep(order, x, sigma(i), down), (v, k) => v + up * at(z, k));
    rows.push(x);
  }
  return rows;
}

/** n + 1 sigmas, of which DPM fast and DPM adaptive read the first, the last and the count. */
const span = (n: number): number[] => Array.from({ length: n + 1 }, (_, i) => (i === 0 ? START : i === n ? END : 1));

describe('dpm_fast', () => {
  it.each([
    [12, 0],
    [13, 0],
    [14, 0],
    [3, 0],
    [2, 0],
    [1, 0],
    [12, 1],
    [20, 0.4],
  ])('of %i evaluations, eta %s, is the formula in float64', (evaluations, eta) => {
    const result = runSampler('dpm_fast', { x0, noise, sigmas: span(evaluations) }, ['--eta', String(eta)]);
    const expected = dpmFast(evaluations, eta);
    expect(rowsError(result.rows, expected)).toBeLessThan(BOUND);
    expect(result.calls).toHaveLength(evaluations);
    expect(result.reports.at(-1)).toEqual([evaluations, evaluations]);
    expect(result.drawn).toBe(eta > 0 ? expected.length - 1 : 0);
  });
});

describe('dpm_adaptive', () => {
  /** The whole algorithm; also how often a step was taken back. */
  function expected(eta: number): { x: number[]; accepted: number; rejected: number } {
    const order = eta > 0 ? 1.5 : 3;
    let x = Array.from(x0.data, (v) => v * START32);
    let previous = x;
    let t = -Math.log(START32);
    let h = 0.05;
    let accepted = 0;
    let rejected = 0;
    const end = -Math.log(END32);
    while (t < end - 1e-5) {
      const next = Math.min(end, t + h);
      const [from, to] = [Math.exp(-t), Math.exp(-next)];
      const { down, up } = eta > 0 ? ancestral(from, to, eta) : { down: to, up: 0 };
      const low = dpmStep(2, x, from, down, 1 / 3);
      const high = dpmStep(3, x, from, down);
      const terms = low.map((v, k) => {
        const scale = Math.max(0.0078, 0.05 * Math.max(Math.abs(v), Math.abs(at(previous, k))));
        return ((v - at(high, k)) / scale) ** 2;
      });
      const error = Math.sqrt(terms.reduce((sum, v) => sum + v, 0) / size);
      const factor = 1 + Math.atan((1 / (error + 1e-8)) ** (1 / order) - 1);
      h *= factor;
      if (factor < 0.81) {
        rejected += 1;
        continue;
      }
      const z = noiseAt(accepted);
      previous = low;
      x = join(high, (v, k) => v + up * at(z, k));
      t = next;
      accepted += 1;
    }
    return { x, accepted, rejected };
  }

  /** x at the end by the steps that were in fact accepted: those after which an evaluation begins elsewhere. */
  function along(begins: readonly number[], eta: number): number[] {
    let x = Array.from(x0.data, (v) => v * START32);
    let draw = 0;
    for (const [i, from] of begins.entries()) {
      const to = begins[i + 1] ?? END32;
      if (to === from) continue;
      const { down, up } = eta > 0 ? ancestral(from, to, eta) : { down: to, up: 0 };
      const z = noiseAt(draw);
      draw += 1;
      x = join(dpmStep(3, x, from, down), (v, k) => v + up * at(z, k));
    }
    return x;
  }

  it.each([0, 0.3])('with eta %s is the algorithm in float64, and counts up to the end', (eta) => {
    const result = runSampler('dpm_adaptive', { x0, noise, sigmas: span(10) }, ['--eta', String(eta)]);
    const { x, accepted, rejected } = expected(eta);
    const begins = result.calls.filter((_, i) => i % 3 === 0);
    const start = Array.from(x0.data, (v) => v * START32);
    const ends = [start, result.rows.at(-1) ?? []];
    expect(rowsError(ends, [start, along(begins, eta)])).toBeLessThan(BOUND);
    // The size of a step follows from the difference of two nearly equal results, of which float32 keeps few digits:
    // the whole algorithm takes slightly other steps in float64, though as many.
    expect(rowsError(ends, [start, x])).toBeLessThan(5e-4);
    expect(result.calls).toHaveLength(3 * (accepted + rejected));
    expect(result.drawn).toBe(eta > 0 ? accepted : 0);
    const steps = result.reports.map(([done]) => done ?? Number.NaN);
    expect(steps).toEqual([...new Set(steps)].sort((a, b) => a - b));
    expect(result.reports.at(-1)).toEqual([10, 10]);
    expect(steps[0]).toBeGreaterThan(0);
  });
});

describe('restart', () => {
  it('takes Heun steps, and adds noise where sigmas rise', () => {
    const sigmas = [14.6, 5, 1, 0.1, 2, 0.5, 0.1, 2, 0.4, 0.1, 0.03, 0].map(Math.fround);
    const result = runSampler('restart', { x0, noise, sigmas });
    let x = Array.from(x0.data, (v) => v * at(sigmas, 0));
    const rows = [x];
    let draw = 0;
    for (const [i, from] of sigmas.slice(0, -1).entries()) {
      const to = at(sigmas, i + 1);
      if (to > from) {
        const z = noiseAt(draw);
        draw += 1;
        x = join(x, (v, k) => v + Math.sqrt(to ** 2 - from ** 2) * at(z, k));
        continue;
      }
      const slope = epsilon(x, from);
      const euler = join(x, (v, k) => v + (to - from) * at(slope, k));
      const second = to === 0 ? slope : epsilon(euler, to);
      x = join(x, (v, k) => v + ((to - from) * (at(slope, k) + at(second, k))) / 2);
      rows.push(x);
    }
    expect(rowsError(result.rows, rows)).toBeLessThan(BOUND);
    expect(result.drawn).toBe(2);
    expect(result.reports).toEqual(Array.from({ length: 9 }, (_, i) => [i + 1, 9]));
  });
});
