import { UsageError } from '../request/errors.js';
import { LIMITS } from '../request/limits.js';
import { type SchedulerName, unknownName } from './names.js';
import type { SamplerInfo } from './samplers.js';

export type { SchedulerName } from './names.js';

export interface SchedulerInfo {
  readonly name: SchedulerName;
  /** As written in a picture's parameters ("Schedule type"), e.g. "Karras". */
  readonly label: string;
  /** Other accepted names. */
  readonly aliases: readonly string[];
  readonly built: boolean;
}

export interface ScheduleRequest {
  readonly sampler: SamplerInfo;
  /** "automatic" stands for the sampler's own. */
  readonly scheduler: SchedulerInfo | SchedulerName;
  /** Sampling steps, within LIMITS.steps. */
  readonly steps: number;
}

export interface Schedule {
  /** The schedule that was used; never "automatic". */
  readonly scheduler: SchedulerName;
  /** What a picture's parameters show: the schedule's label, or "Automatic" where that meant the sampler's lack of one. */
  readonly label: string;
  /** steps + 1 descending sigmas, the last of them 0, rounded once from float64. */
  readonly sigmas: Float32Array;
}

/** Karras et al. 2022, equation 5: the exponent of the schedule. */
const KARRAS_RHO = 7;

const TRAINING_STEPS = 1000;
const BETA_START = 0.00085;
const BETA_END = 0.012;

function scheduler(name: SchedulerName, label: string, built: boolean, aliases: readonly string[] = []): SchedulerInfo {
  return Object.freeze({ name, label, aliases: Object.freeze([...aliases]), built });
}

export const SCHEDULERS: readonly SchedulerInfo[] = Object.freeze([
  scheduler('automatic', 'Automatic', true),
  scheduler('uniform', 'Uniform', true),
  scheduler('karras', 'Karras', true),
  scheduler('exponential', 'Exponential', true),
  scheduler('polyexponential', 'Polyexponential', false),
  scheduler('sgm_uniform', 'SGM Uniform', false, ['SGMUniform']),
  scheduler('kl_optimal', 'KL Optimal', false),
  scheduler('align_your_steps', 'Align Your Steps', false),
  scheduler('simple', 'Simple', false),
  scheduler('normal', 'Normal', false),
  scheduler('ddim', 'DDIM', false),
  scheduler('beta', 'Beta', false),
  scheduler('turbo', 'Turbo', false),
]);

const BY_NAME: ReadonlyMap<string, SchedulerInfo> = new Map(
  SCHEDULERS.flatMap((info) => [info.name, info.label, ...info.aliases].map((key) => [key.toLowerCase(), info])),
);

/** Labels of the schedulers that can be used, in the order of the table. */
export function builtSchedulers(): string[] {
  return SCHEDULERS.filter((info) => info.built).map((info) => info.label);
}

/**
 * The scheduler of a name, label or alias, whatever the case.
 * @throws UsageError when there is none (the nearest names are given), or when it is known but not built yet.
 */
export function findScheduler(text: string): SchedulerInfo {
  const wanted = text.trim().toLowerCase();
  const info = BY_NAME.get(wanted);
  const built = builtSchedulers().join(', ');
  if (info === undefined) {
    const known = SCHEDULERS.map((entry) => entry.label);
    throw unknownName('scheduler', text, known, built);
  }
  if (!info.built) {
    throw new UsageError(`scheduler "${info.label}" is known, but not built yet; built: ${built}`, 'scheduler');
  }
  return info;
}

/**
 * Sigma of each of the 1000 training timesteps, ascending: sqrt((1 - a) / a), a the cumulative product of 1 - beta,
 * betas scaled-linear between 0.00085 and 0.012 (Rombach et al. 2022). All in float64.
 */
export function modelSigmas(): Float64Array {
  const first = Math.sqrt(BETA_START);
  const last = Math.sqrt(BETA_END);
  const sigmas = new Float64Array(TRAINING_STEPS);
  let product = 1;
  for (let i = 0; i < TRAINING_STEPS; i += 1) {
    const root = first + (i / (TRAINING_STEPS - 1)) * (last - first);
    product *= 1 - root * root;
    sigmas[i] = Math.sqrt((1 - product) / product);
  }
  return sigmas;
}

/** Sigma of a possibly fractional timestep: linear in log sigma between its neighbours; `t` is clamped to 0 … 999. */
export function tToSigma(sigmas: Float64Array, t: number): number {
  const inside = Math.min(Math.max(t, 0), sigmas.length - 1);
  const low = Math.min(Math.floor(inside), sigmas.length - 2);
  const weight = inside - low;
  // The ends of an interval are the table's own values, without a trip through log and exp.
  if (weight === 0) return at(sigmas, low);
  if (weight === 1) return at(sigmas, low + 1);
  return Math.exp((1 - weight) * Math.log(at(sigmas, low)) + weight * Math.log(at(sigmas, low + 1)));
}

/** The timestep of a sigma, the inverse of tToSigma; sigmas outside the table give its first or last timestep. */
export function sigmaToT(sigmas: Float64Array, sigma: number): number {
  if (!(sigma > at(sigmas, 0))) return 0;
  const last = sigmas.length - 1;
  if (sigma >= at(sigmas, last)) return last;
  let low = 0;
  let high = last;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (at(sigmas, middle) <= sigma) low = middle;
    else high = middle;
  }
  const from = Math.log(at(sigmas, low));
  return low + (Math.log(sigma) - from) / (Math.log(at(sigmas, high)) - from);
}

function at(values: Float64Array, index: number): number {
  const value = values[index];
  if (value === undefined) throw new RangeError(`index ${index} of ${values.length} sigmas`);
  return value;
}

/** n points from 0 to 1 with both ends; one point alone is the start. */
function ramp(n: number): number[] {
  return Array.from({ length: n }, (_, i) => (n === 1 ? 0 : i / (n - 1)));
}

/** Timesteps spaced linearly from 999 to 0. */
function uniform(n: number, sigmas: Float64Array): number[] {
  const last = sigmas.length - 1;
  return ramp(n).map((r) => tToSigma(sigmas, last * (1 - r)));
}

/** Karras et al. 2022, equation 5. */
function karras(n: number, sigmas: Float64Array): number[] {
  const low = at(sigmas, 0) ** (1 / KARRAS_RHO);
  const high = at(sigmas, sigmas.length - 1) ** (1 / KARRAS_RHO);
  return ramp(n).map((r) => (high + r * (low - high)) ** KARRAS_RHO);
}

/** Log sigma spaced linearly. */
function exponential(n: number, sigmas: Float64Array): number[] {
  const low = Math.log(at(sigmas, 0));
  const high = Math.log(at(sigmas, sigmas.length - 1));
  return ramp(n).map((r) => Math.exp(high + r * (low - high)));
}

const FORMULAS: Readonly<Partial<Record<SchedulerName, (n: number, sigmas: Float64Array) => number[]>>> = {
  uniform,
  karras,
  exponential,
};

/**
 * The sigmas of a run.
 * @throws UsageError for a number of steps out of range, a scheduler that is not built, or a sampler that takes none.
 */
export function computeSigmas(request: ScheduleRequest): Schedule {
  const { sampler, steps } = request;
  const { min, max } = LIMITS.steps;
  if (!Number.isInteger(steps) || steps < min || steps > max) {
    throw new UsageError(`steps must be a whole number from ${min} to ${max}, not ${steps}`, 'steps');
  }
  const asked = typeof request.scheduler === 'string' ? request.scheduler : request.scheduler.name;
  if (sampler.automatic === undefined) {
    throw new UsageError(`sampler "${sampler.name}" makes its own schedule, which is not built yet`, 'sampler');
  }
  const info = findScheduler(asked === 'automatic' ? sampler.automatic : asked);
  const formula = FORMULAS[info.name];
  if (formula === undefined) throw new Error(`scheduler ${info.name} is marked as built but has no formula`);
  const values = formula(sampler.discardPenultimate ? steps + 1 : steps, modelSigmas());
  if (sampler.discardPenultimate) values.pop();
  // Uniform is what "automatic" falls back to for a sampler without a schedule of its own; the webui then says so.
  const label = asked === 'automatic' && info.name === 'uniform' ? 'Automatic' : info.label;
  return { scheduler: info.name, label, sigmas: Float32Array.from([...values, 0]) };
}
