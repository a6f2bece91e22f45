import { describe, expect, it } from 'vitest';
import { fixturePath } from '../support/eval.js';
import { readSafetensors } from '../support/safetensors.js';
import { analyticDenoiser, rowsError, rowsOf, runSampler, type SamplerInputs } from '../support/sampler-run.js';

/**
 * Trajectories of diffusers' schedulers in float64 on the analytic denoiser. Their float32 tables lose about 1e-6; the
 * bound is that of the other samplers.
 */
const BOUND = 1e-5;
const fixture = readSafetensors(fixturePath('diffusers_schedulers.safetensors'));
const x0 = fixture.get('x0');
const noise = fixture.get('noise');
const alphasCumprod = fixture.get('alphas_cumprod');
const alphas = Array.from(alphasCumprod.data);
const times = (name: string): number[] => Array.from(fixture.get(`t.${name}`).data);
const trajectory = (name: string): number[][] => rowsOf(fixture.get(`traj.${name}`));

/** Cumulative alpha at a timestep; 1 at the clean end. */
const alphaAt = (t: number): number => (t < 0 ? 1 : (alphas[t] ?? Number.NaN));
const sigmaAt = (t: number): number => Math.sqrt((1 - alphaAt(t)) / alphaAt(t));

function inputs(timesteps: readonly number[]): SamplerInputs {
  return { x0, noise, alphasCumprod, timesteps, sigmas: timesteps.map(sigmaAt) };
}

describe('samplers that walk timesteps', () => {
  it.each([
    ['ddim', ['--eta', '0'], 0],
    ['ddim_eta1', ['--eta', '1'], 10],
    ['ddim_trailing', ['--eta', '0'], 0],
  ] as const)('ddim follows %s', (name, flags, draws) => {
    const { rows, calls, reports, drawn } = runSampler('ddim', inputs([...times(name), 0]), flags);
    expect(rowsError(rows, trajectory(name))).toBeLessThan(BOUND);
    expect(calls).toEqual(times(name));
    // With eta 1, diffusers draws at every step, and so do we.
    expect(drawn).toBe(draws);
    expect(reports).toEqual(Array.from({ length: 10 }, (_, i) => [i + 1, 10]));
  });

  it('plms follows plms, which counts the first improved Euler step as two', () => {
    const expected = times('plms');
    const result = runSampler('plms', inputs([...new Set(expected), 0]));
    // Its second row is where the Euler step arrives: what the second evaluation sees.
    expect(rowsError([...result.seen, result.rows.at(-1) ?? []], trajectory('plms'))).toBeLessThan(BOUND);
    expect(result.calls).toEqual(expected);
    expect(result.reports).toHaveLength(10);
  });

  it('unipc with bh2 and order 2 follows unipc, whose rows are the predictions', () => {
    const flags = ['--unipc-order', '2', '--unipc-variant', 'bh2'];
    const result = runSampler('unipc', inputs([...times('unipc'), -1]), flags);
    expect(rowsError([...result.seen, result.rows.at(-1) ?? []], trajectory('unipc'))).toBeLessThan(BOUND);
    expect(result.calls).toEqual(times('unipc'));
  });

  it('lcm follows lcm', () => {
    const timesteps = times('lcm');
    const sigmas = [...timesteps.map(sigmaAt), 0];
    const result = runSampler('lcm', { x0, noise, alphasCumprod, sigmas }, ['--start-with-signal']);
    const scaled = result.rows.map((row, i) => row.map((x) => x / Math.sqrt(1 + (sigmas[i] ?? 0) ** 2)));
    expect(rowsError(scaled, trajectory('lcm'))).toBeLessThan(BOUND);
    expect(result.calls).toEqual(timesteps);
    expect(result.drawn).toBe(3);
  });
});

interface Point {
  readonly alpha: number;
  readonly sigma: number;
}

/** alpha and sigma at a fractional timestep: log alpha linear between whole ones. */
function pointAt(t: number): Point {
  const low = Math.floor(t);
  const log = (i: number): number => Math.log(alphaAt(Math.min(i, 999))) / 2;
  const alpha = Math.exp(log(low) + (t - low) * (log(low + 1) - log(low)));
  return { alpha, sigma: Math.sqrt(1 - alpha ** 2) };
}

const x0At = (x: number, { alpha, sigma }: Point): number => analyticDenoiser(x / alpha, sigma / alpha);

/** The integral over [0, 1] by Simpson's rule on 2000 pieces. */
function integral(f: (s: number) => number): number {
  const pieces = 2000;
  const weight = (i: number): number => (i === 0 || i === pieces ? 1 : i % 2 === 1 ? 4 : 2);
  let sum = 0;
  for (let i = 0; i <= pieces; i += 1) sum += weight(i) * f(i / pieces);
  return sum / (3 * pieces);
}

/** x0 at a place r of the step, in steps from its start. */
interface Node {
  readonly r: number;
  readonly m: number;
}
const NOWHERE: Node = { r: Number.NaN, m: Number.NaN };

/** The polynomial through the nodes at s (Lagrange). */
function polynomial(nodes: readonly Node[], s: number): number {
  const weight = (a: Node): number => nodes.reduce((p, b) => (a === b ? p : (p * (s - b.r)) / (a.r - b.r)), 1);
  return nodes.reduce((sum, node) => sum + node.m * weight(node), 0);
}

/**
 * UniPC with B(h) = h, from its definition: the exact solution for x0 that is the polynomial through the known points
 * in lambda; but one half of the newest difference for the predictor of order 2 and the corrector of order 1.
 */
function uniPc(timesteps: readonly number[], order: number, start: number): number[] {
  const points = timesteps.map(pointAt);
  const point = (i: number): Point => points[i] ?? { alpha: Number.NaN, sigma: Number.NaN };
  const lambda = (i: number): number => Math.log(point(i).alpha / point(i).sigma);
  const steps = timesteps.length - 1;
  const m = [x0At(start, point(0))];
  const path = [start];
  let x = start;
  for (let i = 0; i < steps; i += 1) {
    const n = Math.min(i + 1, order, steps - i);
    const h = lambda(i + 1) - lambda(i);
    const { alpha, sigma } = point(i + 1);
    const solve = (known: readonly Node[], half: boolean): number => {
      const base = (sigma / point(i).sigma) * x;
      const [newest, last] = [known[0] ?? NOWHERE, known.at(-1) ?? NOWHERE];
      if (half) {
        return base + alpha * (1 - Math.exp(-h)) * newest.m + (alpha * h * (last.m - newest.m)) / (2 * last.r);
      }
      return base + alpha * h * integral((s) => Math.exp((s - 1) * h) * polynomial(known, s));
    };
    const known = Array.from({ length: n }, (_, k) => ({ r: (lambda(i - k) - lambda(i)) / h, m: m[i - k] ?? 0 }));
    const predicted = solve(known, n === 2);
    if (i + 1 === steps) return [...path, predicted];
    m.push(x0At(predicted, point(i + 1)));
    x = solve([...known, { r: 1, m: m[i + 1] ?? 0 }], n === 1);
    path.push(x);
  }
  return path;
}

describe('unipc with bh1', () => {
  it.each([
    [3, 20],
    [3, 7],
    [3, 3],
    [3, 1],
    [2, 9],
    [1, 5],
  ])('of order %i in %i steps is the formula in float64', (order, steps) => {
    const timesteps = Array.from({ length: steps + 1 }, (_, i) => Math.fround(999 * (1 - i / steps)));
    const result = runSampler(
      'unipc',
      { x0, noise, alphasCumprod, timesteps, sigmas: timesteps.map((t) => sigmaAt(Math.round(t))) },
      ['--unipc-order', String(order)],
    );
    const paths = Array.from(x0.data, (value) => uniPc(timesteps, order, value));
    const expected = Array.from({ length: steps + 1 }, (_, i) => paths.map((path) => path[i] ?? Number.NaN));
    expect(rowsError(result.rows, expected)).toBeLessThan(BOUND);
    expect(result.calls).toHaveLength(steps);
  });
});

describe('ddim_cfgpp', () => {
  it.each([0, 0.6])('goes to x0 of the guided noise along the unconditional one, eta %s', (eta) => {
    const timesteps = [801, 601, 401, 201, 1];
    const result = runSampler('ddim_cfgpp', inputs(timesteps), ['--eta', String(eta)]);
    let x = Array.from(x0.data, Number);
    const rows = [x];
    for (const [i, t] of timesteps.slice(0, -1).entries()) {
      const a = alphaAt(t);
      const next = alphaAt(timesteps[i + 1] ?? 0);
      const random = eta * Math.sqrt(((1 - next) / (1 - a)) * (1 - a / next));
      x = x.map((value, k) => {
        const clean = x0At(value, { alpha: Math.sqrt(a), sigma: Math.sqrt(1 - a) });
        // The analytic run says that the unconditional branch saw three quarters of the noise.
        const e = (value - Math.sqrt(a) * clean) / Math.sqrt(1 - a);
        const along = 0.75 * e * Math.sqrt(1 - next - random ** 2);
        return Math.sqrt(next) * clean + along + random * (noise.data[i * x0.data.length + k] ?? 0);
      });
      rows.push(x);
    }
    expect(rowsError(result.rows, rows)).toBeLessThan(BOUND);
    expect(result.drawn).toBe(eta === 0 ? 0 : 4);
  });
});
