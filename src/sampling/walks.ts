import { UsageError } from '../request/errors.js';
import type { SamplerInfo } from './samplers.js';
import { karras } from './schedule-formulas.js';
import { checkSteps, computeSigmas, type Schedule, type ScheduleRequest } from './schedules.js';
import { modelSigmas, sigmaAt, tToSigma } from './trained-sigmas.js';

/** How UniPC's timesteps lie: evenly, evenly in their square root, or evenly in log alpha/sigma. */
export type SkipType = 'time_uniform' | 'time_quadratic' | 'logSNR';

export interface WalkRequest extends ScheduleRequest {
  /** Sigmas of one's own, instead of a schedule's and of `steps`: falling, above 0; the last may be 0. */
  readonly own?: readonly number[] | undefined;
  readonly skipType?: SkipType;
  /** The model's scheduler counts timesteps from the last trained one downwards: so do DDIM and PLMS then. */
  readonly trailing?: boolean;
}

/** What a sampler goes along, from its start to its end. */
export interface SamplingWalk {
  readonly scheduler: string;
  /** What a picture's parameters show as "Schedule type"; null where the sampler takes no schedule. */
  readonly label: string | null;
  /** float32 values. A sigma that rises is a restart. */
  readonly sigmas: Float32Array;
  /** Of a sampler that walks timesteps; `sigmas` are then theirs. Null for the others. */
  readonly timesteps: Float32Array | null;
  readonly notes: Schedule['notes'];
}

const RHO = 7;

/** The index of the value nearest to `wanted`; of equally near ones the first. */
function nearest(values: readonly number[], wanted: number): number {
  return values.reduce((best, value, i) => {
    return Math.abs(value - wanted) < Math.abs((values[best] ?? Number.NaN) - wanted) ? i : best;
  }, 0);
}

/**
 * Restart sampling (Xu et al. 2023) as the webui sets it up: from 20 steps on, some of them walk from about sigma 2
 * down to 0.1 again, the rest a Karras schedule. A sigma that rises is where noise lifts x.
 */
function withRestarts(sigmas: readonly number[]): number[] {
  const steps = sigmas.length - 1;
  if (steps < 20) return [...sigmas];
  const [length, times] = steps >= 36 ? [Math.floor(steps / 4), 2] : [9, 1];
  const [first = Number.NaN, last = Number.NaN] = [sigmas[0], sigmas.at(-2)];
  const main = karras(steps - length * times, { min: last, max: first, rho: RHO }).map(Math.fround);
  const low = nearest(main, 0.1);
  const high = nearest(main, 2);
  if (high >= low) return main;
  const [from = Number.NaN, to = Number.NaN] = [main[high], main[low]];
  const again = karras(length + 1, { min: to, max: from, rho: RHO }).slice(0, -1);
  // The ends are the main schedule's own values.
  again.splice(0, 1, from);
  again.splice(-1, 1, to);
  return [...main.slice(0, low + 1), ...Array.from({ length: times }, () => again).flat(), ...main.slice(low + 1)];
}

/** The webui's: 1, 1 + s, 1 + 2s … with s = 1000 div steps, from the largest down; often more than `steps`. */
function ddimTimesteps(steps: number, count: number): number[] {
  const step = Math.floor(count / steps);
  const found: number[] = [];
  for (let t = 0; t < count; t += step) found.push(Math.min(t + 1, count - 1));
  return [...new Set(found)].reverse();
}

/** As diffusers' "trailing" has them: from the last trained one down in even strides, then the clean end. */
function trailingTimesteps(steps: number, count: number): number[] {
  return [...Array.from({ length: steps }, (_, i) => Math.round(count - (i * count) / steps) - 1), -1];
}

/** As many steps as the webui's list has entries, over the whole range; in UniPC's time t stands for (t + 1)/1000. */
function uniPcTimesteps(steps: number, trained: Float64Array, skipType: SkipType): number[] {
  const last = trained.length - 1;
  const n = ddimTimesteps(steps, trained.length).length;
  if (skipType === 'logSNR') return logSnrTimesteps(n, trained);
  const root = (i: number): number => Math.sqrt(last + 1) * (1 - i / n) + i / n;
  const place = skipType === 'time_quadratic' ? (i: number) => root(i) ** 2 - 1 : (i: number) => last * (1 - i / n);
  return Array.from({ length: n + 1 }, (_, i) => (i === 0 ? last : i === n ? 0 : place(i)));
}

/** log(alpha/sigma) is -log of our sigma: even steps in it, and log alpha linear between the whole timesteps there. */
function logSnrTimesteps(n: number, trained: Float64Array): number[] {
  const [low, high] = [Math.log(sigmaAt(trained, 0)), Math.log(sigmaAt(trained, trained.length - 1))];
  const logAlpha = (sigma: number): number => -0.5 * Math.log1p(sigma ** 2);
  return Array.from({ length: n + 1 }, (_, i) => {
    const wanted = logAlpha(Math.exp(high + (i / n) * (low - high)));
    const above = trained.findIndex((sigma) => logAlpha(sigma) <= wanted);
    if (above <= 0) return above < 0 ? trained.length - 1 : 0;
    const [from, to] = [logAlpha(sigmaAt(trained, above - 1)), logAlpha(sigmaAt(trained, above))];
    return above - 1 + (wanted - from) / (to - from);
  });
}

/** n + 1 sigmas evenly in log sigma over the model's range: the samplers of this walk read the ends and the count. */
function range(steps: number, trained: Float64Array): number[] {
  const [low, high] = [sigmaAt(trained, 0), sigmaAt(trained, trained.length - 1)];
  return Array.from({ length: steps + 1 }, (_, i) =>
    i === 0 ? high : i === steps ? low : high * (low / high) ** (i / steps),
  );
}

function refuseOwn({ name, walk }: SamplerInfo, own: readonly number[]): void {
  const isLong = walk === 'restarts' && own.length > 20;
  if ((walk === 'sigmas' || walk === 'restarts') && !isLong) return;
  const reason = isLong ? 'makes a schedule of its own from 20 steps on' : 'takes no schedule';
  throw new UsageError(`sampler "${name}" ${reason}: sigmas of one's own are for other samplers`, 'sigmas');
}

/**
 * What a sampler goes along.
 * A scheduler means nothing to a sampler that takes none, as in the webui.
 * @throws UsageError for steps out of range, or sigmas for a sampler that takes none
 */
export function planWalk(request: WalkRequest): SamplingWalk {
  const { sampler, steps, own, trained = modelSigmas(), skipType = 'time_uniform' } = request;
  const asked = typeof request.scheduler === 'string' ? request.scheduler : request.scheduler.name;
  if (own !== undefined) {
    refuseOwn(sampler, own);
    if (asked !== 'automatic')
      throw new UsageError("sigmas of one's own need no scheduler: leave it automatic", 'sigmas');
    return { scheduler: 'own', label: null, sigmas: Float32Array.from(own), timesteps: null, notes: [] };
  }
  if (sampler.automatic !== undefined) {
    const { scheduler, label, sigmas, notes } = computeSigmas(request);
    const walked = sampler.walk === 'restarts' ? Float32Array.from(withRestarts([...sigmas])) : sigmas;
    return { scheduler, label, sigmas: walked, timesteps: null, notes };
  }
  checkSteps(steps);
  if (sampler.walk === 'range') {
    const sigmas = Float32Array.from(range(steps, trained));
    return { scheduler: 'range', label: 'Automatic', sigmas, timesteps: null, notes: [] };
  }
  const isUniPc = sampler.id === 'unipc';
  const trailing = request.trailing === true && !isUniPc;
  if (!isUniPc && !trailing && steps < 2) {
    // One timestep is no way: the webui then shows the noise it began with.
    throw new UsageError(`sampler "${sampler.name}" needs at least 2 steps`, 'steps');
  }
  const spaced = trailing ? trailingTimesteps : ddimTimesteps;
  const places = isUniPc ? uniPcTimesteps(steps, trained, skipType) : spaced(steps, trained.length);
  const timesteps = Float32Array.from(places);
  const sigmas = Float32Array.from(timesteps, (t) => (t < 0 ? 0 : tToSigma(trained, t)));
  const notes: Schedule['notes'] = isUniPc && skipType !== 'time_uniform' ? [['UniPC skip type', skipType]] : [];
  return { scheduler: 'timesteps', label: null, sigmas, timesteps, notes };
}

/** Steps that a sampler completes on these sigmas: all but the restarts. */
export function walkedSteps(sigmas: ArrayLike<number>): number {
  let steps = 0;
  for (let i = 1; i < sigmas.length; i += 1) steps += (sigmas[i] ?? 0) > (sigmas[i - 1] ?? 0) ? 0 : 1;
  return steps;
}
