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

/** The inverse of a small matrix, by Cramer's rule. */
function inverse(matrix: readonly (readonly number[])[]): number[][] {
  const minor = (m: readonly (readonly number[])[], i: number, j: number) =>
    m.filter((_, row) => row !== i).map((row) => row.filter((_, column) => column !== j));
  const det = (m: readonly (readonly number[])[]): number =>
    m.length === 0 ? 1 : (m[0] ?? []).reduce((sum, a, j) => sum + (j % 2 === 0 ? a : -a) * det(minor(m, 0, j)), 0);
  const whole = det(matrix);
  return matrix.map((_, i) => matrix.map((_, j) => ((i + j) % 2 === 0 ? 1 : -1) * (det(minor(matrix, j, i)) / whole)));
}

const factorial = (n: number): number => (n < 2 ? 1 : n * factorial(n - 1));

/** h^(k+1)·phi_(k+1) of the exponential integrators at -h: the integral of e^((s-1)h)·s^k/k!, taken off. */
const phi = (k: number, h: number): number =>
  -h * integral((s) => (Math.exp((s - 1) * h) * s ** (k - 1)) / factorial(k - 1));

/**
 * The corrector of UniPC with varying coefficients, as its authors wrote it: A is the inverse of C, whose rows are the
 * nodes' powers r^k/(k+1)!; of the differences D over the nodes all rows of A but the last count, of the one at the end of
 * the step only the last entry of the last of those, by the next power.
 * @param known x0 of the points behind, newest first; @param end x0 at the end of the step
 * @returns what is added to x's own part
 */
function varyingCorrection(known: readonly Node[], end: number, h: number, alpha: number): number {
  const newest = known[0]?.m ?? Number.NaN;
  const nodes = [...known.slice(1), { r: 1, m: end }];
  const a = inverse(nodes.map(({ r }) => nodes.map((_, k) => r ** k / factorial(k + 1))));
  const slopes = nodes.map(({ r, m }) => (m - newest) / r);
  const count = nodes.length;
  let sum = phi(1, h) * newest;
  for (let k = 0; k < count - 1; k += 1) {
    for (let j = 0; j < count - 1; j += 1) sum += phi(k + 2, h) * (a[k]?.[j] ?? 0) * (slopes[j] ?? 0);
  }
  const row = a[Math.max(count - 2, 0)] ?? [];
  sum += phi(count + 1, h) * (row[count - 1] ?? Number.NaN) * (slopes[count - 1] ?? Number.NaN);
  return -alpha * sum;
}

/**
 * UniPC with B(h) = h, or with varying coefficients, from its definition: the exact solution for x0 that is the polynomial through the known points
 * in lambda. With B(h) one half of the newest difference for the predictor of order 2 and the corrector of order 1.
 */
function uniPc(timesteps: readonly number[], order: number, start: number, isVarying = false): number[] {
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
    const predicted = solve(known, n === 2 && !isVarying);
    if (i + 1 === steps) return [...path, predicted];
    m.push(x0At(predicted, point(i + 1)));
    const end = m[i + 1] ?? 0;
    x = isVarying
      ? (sigma / point(i).sigma) * x + varyingCorrection(known, end, h, alpha)
      : solve([...known, { r: 1, m: end }], n === 1);
    path.push(x);
  }
  return path;
}

describe.each(['bh1', 'vary_coeff'])('unipc with %s', (variant) => {
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
      ['--unipc-order', String(order), '--unipc-variant', variant],
    );
    const paths = Array.from(x0.data, (value) => uniPc(timesteps, order, value, variant === 'vary_coeff'));
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
