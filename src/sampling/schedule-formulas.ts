import { betaQuantile } from './beta-distribution.js';
import type { SchedulerName } from './names.js';
import { type SigmaTable, sigmaAt } from './trained-sigmas.js';

/** What a schedule is made from. */
export interface ScheduleRange {
  readonly table: SigmaTable;
  /** The smallest and the largest sigma: the table's, or those asked for. Some schedules read the table alone. */
  readonly min: number;
  readonly max: number;
  /** The exponent of those that have one. */
  readonly rho: number;
  /** Of Beta. */
  readonly alpha: number;
  readonly beta: number;
}

/** All sigmas of `n` steps, largest first; with the 0 at the end, where there is one. */
export type ScheduleFormula = (n: number, range: ScheduleRange) => number[];

/** n points from `from` to `to`, both included; one point alone is the start. */
function linear(from: number, to: number, n: number): number[] {
  return Array.from({ length: n }, (_, i) => (n === 1 ? from : from + (i / (n - 1)) * (to - from)));
}

/** Timesteps spaced evenly over the table. */
function uniform(n: number, { table }: ScheduleRange): number[] {
  const { sigmas, toT, toSigma } = table;
  const ends = [sigmaAt(sigmas, sigmas.length - 1), sigmaAt(sigmas, 0)].map(toT) as [number, number];
  return [...linear(...ends, n).map(toSigma), 0];
}

/** The same between the sigmas asked for. */
function normal(n: number, { table, min, max }: ScheduleRange): number[] {
  return [...linear(table.toT(max), table.toT(min), n).map(table.toSigma), 0];
}

/** One more timestep, and the last left out: the models of Stability AI were sampled so. */
function sgmUniform(n: number, { table, min, max }: ScheduleRange): number[] {
  const timesteps = linear(table.toT(max), table.toT(min), n + 1).slice(0, -1);
  return [...timesteps.map(table.toSigma), 0];
}

/** Karras et al. 2022, equation 5. */
export function karras(n: number, { min, max, rho }: Pick<ScheduleRange, 'min' | 'max' | 'rho'>): number[] {
  return [...linear(max ** (1 / rho), min ** (1 / rho), n).map((root) => root ** rho), 0];
}

/** Log sigma spaced evenly. */
function exponential(n: number, { min, max }: ScheduleRange): number[] {
  return [...linear(Math.log(max), Math.log(min), n).map(Math.exp), 0];
}

function polyexponential(n: number, { min, max, rho }: ScheduleRange): number[] {
  const [low, high] = [Math.log(min), Math.log(max)];
  return [...linear(1, 0, n).map((r) => Math.exp(r ** rho * (high - low) + low)), 0];
}

/** Sabour et al., Align Your Steps, theorem 3.1. It ends at the smallest sigma, not at 0. */
function klOptimal(n: number, { min, max }: ScheduleRange): number[] {
  const [low, high] = [Math.atan(min), Math.atan(max)];
  return Array.from({ length: n + 1 }, (_, i) => Math.tan((i / n) * low + (1 - i / n) * high));
}

/** Sabour et al., Align Your Steps: the sigmas found for SD 1.5. */
const ALIGNED = [14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029].map(Math.log);

/** Those, interpolated in log sigma. A single step is the smallest of them, as in the webui. */
function alignYourSteps(n: number): number[] {
  const last = ALIGNED.length - 1;
  const at = (index: number): number => ALIGNED[index] ?? Number.NaN;
  const places = n === 1 ? [last] : linear(0, last, n);
  const logs = places.map((place) => {
    const low = Math.min(Math.floor(place), last - 1);
    return at(low) + (place - low) * (at(low + 1) - at(low));
  });
  return [...logs.map(Math.exp), 0];
}

/** Every so many-th sigma of the table from the largest on. */
function simple(n: number, { table: { sigmas } }: ScheduleRange): number[] {
  const stride = sigmas.length / n;
  const places = Array.from({ length: n }, (_, i) => sigmas.length - 1 - Math.floor(i * stride));
  return [...places.map((place) => sigmaAt(sigmas, place)), 0];
}

/** The timesteps of DDIM, 1, 1 + s, 1 + 2s …; often more or fewer than n. */
function ddim(n: number, { table: { sigmas } }: ScheduleRange): number[] {
  const step = Math.max(Math.floor(sigmas.length / n), 1);
  const found: number[] = [];
  for (let place = 1; place < sigmas.length; place += step) found.push(sigmaAt(sigmas, place));
  return [...found.reverse(), 0];
}

/** Lee et al., Beta Sampling is All You Need; in sigma, as the webui has it. */
function beta(n: number, { min, max, alpha, beta: b }: ScheduleRange): number[] {
  return [...linear(1, 0, n).map((p) => min + betaQuantile(p, alpha, b) * (max - min)), 0];
}

function roundHalfToEven(x: number): number {
  const up = Math.round(x);
  return up - x === 0.5 && up % 2 !== 0 ? up - 1 : up;
}

/** Of Forge, for Turbo models: timesteps k·1000/n - 1, to the nearest. */
function turbo(n: number, { table: { sigmas } }: ScheduleRange): number[] {
  const stride = sigmas.length / n;
  const places = Array.from({ length: n }, (_, i) => roundHalfToEven((n - i) * stride - 1));
  return [...places.map((place) => sigmaAt(sigmas, Math.max(place, 0))), 0];
}

export const FORMULAS: Readonly<Record<Exclude<SchedulerName, 'automatic'>, ScheduleFormula>> = {
  uniform,
  karras,
  exponential,
  polyexponential,
  sgm_uniform: sgmUniform,
  kl_optimal: klOptimal,
  align_your_steps: alignYourSteps,
  simple,
  normal,
  ddim,
  beta,
  turbo,
};

/** The exponent where none is asked for, of the schedules that have one. */
export const DEFAULT_RHO: Readonly<Partial<Record<SchedulerName, number>>> = { karras: 7, polyexponential: 1 };
