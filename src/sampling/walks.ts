import { UsageError } from '../request/errors.js';
import { LIMITS } from '../request/limits.js';
import type { SamplerInfo } from './samplers.js';
import { karras } from './schedule-formulas.js';
import { checkSteps, computeSigmas, type Schedule, type ScheduleRequest } from './schedules.js';
import { ddimTimesteps, type SkipType, trailingTimesteps, uniPcTimesteps } from './timestep-lists.js';
import { modelSigmas, sigmaAt, tToSigma } from './trained-sigmas.js';

export type { SkipType } from './timestep-lists.js';

export interface WalkRequest extends ScheduleRequest {
  /** Sigmas of one's own, instead of a schedule's and of `steps`: falling, above 0; the last may be 0. */
  readonly own?: readonly number[] | undefined;
  readonly skipType?: SkipType;
  /** The model's scheduler counts timesteps from the last trained one downwards: so do DDIM and PLMS then. */
  readonly trailing?: boolean;
  /** Only the end of the walk, for a run that begins in a latent. */
  readonly share?: WalkShare | undefined;
}

/** How much of a walk is gone. */
export interface WalkShare {
  /** 0 … 1: the share of the steps, from the end. */
  readonly strength: number;
  /** `steps` is how many are gone, of a walk that is so much longer; else how many the whole walk has. */
  readonly exact: boolean;
}

/** Where the end of a walk begins. */
export interface WalkStart {
  /** Where the noise is put into the latent; null for samplers that walk sigmas, which do it at the first. */
  readonly timestep: number | null;
  /** The smallest sigma above 0 and the largest of the whole schedule, for the samplers whose noise depends on them. */
  readonly noiseInterval: { readonly low: number; readonly high: number } | null;
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
  /** Only where a share was asked for. */
  readonly start?: WalkStart;
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

/** n + 1 sigmas evenly in log sigma between two: the samplers of this walk read the ends and the count. */
function range(steps: number, low: number, high: number): number[] {
  return Array.from({ length: steps + 1 }, (_, i) =>
    i === 0 ? high : i === steps ? low : high * (low / high) ** (i / steps),
  );
}

/** The webui's largest strength: some of the picture always counts. */
const MOST = 0.999;

/**
 * The steps of the whole walk, and the place in its ascending timesteps up to which it goes (t_enc in the webui, which
 * walks one sigma more).
 */
function partOf(steps: number, { strength, exact }: WalkShare): { total: number; place: number } {
  const share = Math.min(strength, MOST);
  if (!exact) return { total: steps, place: Math.trunc(share * steps) };
  if (strength === 0) {
    throw new UsageError(
      'a denoising strength of 0 leaves no steps to make exact: give a larger one',
      'denoisingStrength',
    );
  }
  const total = Math.trunc(steps / share);
  if (total > LIMITS.steps.max) {
    throw new UsageError(
      `exactly ${steps} steps at strength ${strength} are the end of ${total}, more than ${LIMITS.steps.max}: ` +
        'give fewer steps or a larger strength',
      'steps',
    );
  }
  return { total, place: steps - 1 };
}

/** @throws UsageError for a strength at which a sampler has nothing to do */
function tooWeak({ name }: SamplerInfo): UsageError {
  return new UsageError(
    `sampler "${name}" finds nothing to do at so small a strength and so few steps`,
    'denoisingStrength',
  );
}

/** Smallest above 0 and largest. */
function intervalOf(sigmas: readonly number[]): WalkStart['noiseInterval'] {
  return { low: Math.min(...sigmas.filter((sigma) => sigma > 0)), high: Math.max(...sigmas) };
}

function refuseOwn({ name, walk }: SamplerInfo, own: readonly number[]): void {
  const isLong = walk === 'restarts' && own.length > 20;
  if ((walk === 'sigmas' || walk === 'restarts') && !isLong) return;
  const reason = isLong ? 'makes a schedule of its own from 20 steps on' : 'takes no schedule';
  throw new UsageError(`sampler "${name}" ${reason}: sigmas of one's own are for other samplers`, 'sigmas');
}

/** Of sigmas of one's own. */
function ownWalk({ sampler, scheduler, share }: WalkRequest, own: readonly number[]): SamplingWalk {
  refuseOwn(sampler, own);
  if ((typeof scheduler === 'string' ? scheduler : scheduler.name) !== 'automatic')
    throw new UsageError("sigmas of one's own need no scheduler: leave it automatic", 'sigmas');
  const all = own.map(Math.fround);
  const made = { scheduler: 'own', label: null, timesteps: null, notes: [] };
  if (share === undefined) return { ...made, sigmas: Float32Array.from(all) };
  const { total, place } = partOf(all.length - 1, { ...share, exact: false });
  const start = { timestep: null, noiseInterval: sampler.brownian ? intervalOf(all) : null };
  return { ...made, sigmas: Float32Array.from(all.slice(total - place - 1)), start };
}

/** Of a schedule: the end of it where a share is asked for. */
function scheduledWalk(request: WalkRequest): SamplingWalk {
  const { sampler, steps, share } = request;
  const withKnots = (sigmas: number[]) => (sampler.walk === 'restarts' ? withRestarts(sigmas) : sigmas);
  if (share === undefined) {
    const { scheduler, label, sigmas, notes } = computeSigmas(request);
    return { scheduler, label, sigmas: Float32Array.from(withKnots([...sigmas])), timesteps: null, notes };
  }
  const { total, place } = partOf(steps, share);
  const { scheduler, label, sigmas, notes } = computeSigmas({ ...request, steps: total });
  const all = [...sigmas];
  const start = { timestep: null, noiseInterval: sampler.brownian ? intervalOf(all) : null };
  const end = withKnots(all.slice(total - place - 1));
  return { scheduler, label, sigmas: Float32Array.from(end), timesteps: null, notes, start };
}

/**
 * Of the range of sigmas alone. The end of a walk has the ends of that of a schedule: uniform, unless asked otherwise;
 * its last sigma above 0 is the smallest.
 */
function rangeWalk(request: WalkRequest, trained: Float64Array): SamplingWalk {
  const { sampler, steps, share } = request;
  const made = { scheduler: 'range', label: 'Automatic', timesteps: null, notes: [] };
  checkSteps(steps);
  if (share === undefined) {
    const ends = [sigmaAt(trained, 0), sigmaAt(trained, trained.length - 1)] as const;
    return { ...made, sigmas: Float32Array.from(range(steps, ...ends)) };
  }
  const asScheduled = { ...sampler, walk: 'sigmas', automatic: 'uniform' } as const;
  const { scheduler, label, sigmas } = scheduledWalk({ ...request, sampler: asScheduled });
  const [high = 0, low = 0] = [sigmas[0], sigmas.at(-2)];
  if (!(low < high)) throw tooWeak(sampler);
  const walked = Float32Array.from(range(sigmas.length - 1, low, high));
  return { ...made, scheduler, label, sigmas: walked, start: { timestep: null, noiseInterval: null } };
}

/** Of timesteps: the webui's lists, or where the model's scheduler says so diffusers' "trailing". */
function timestepWalk(request: WalkRequest, trained: Float64Array): SamplingWalk {
  const { sampler, steps, skipType = 'time_uniform', share } = request;
  checkSteps(steps);
  const isUniPc = sampler.id === 'unipc';
  const trailing = request.trailing === true && !isUniPc;
  const { total, place } = share === undefined ? { total: steps, place: steps } : partOf(steps, share);
  const listed = trailing ? trailingTimesteps(total, trained.length) : ddimTimesteps(total, trained.length);
  // One timestep is no way: the webui then shows what it began with.
  if (!isUniPc && !trailing && share === undefined && steps < 2) {
    throw new UsageError(`sampler "${sampler.name}" needs at least 2 steps`, 'steps');
  }
  const rising = [...listed].reverse();
  // The webui puts in the noise of the timestep after the one where it begins.
  const walked = share === undefined ? listed : rising.slice(0, trailing ? place + 1 : place).reverse();
  if (walked.length < (isUniPc ? 1 : 2)) throw tooWeak(sampler);
  const [from = 0] = walked;
  const first = isUniPc && share === undefined ? trained.length - 1 : from;
  const places = isUniPc ? uniPcTimesteps(walked.length, first, trained, skipType) : walked;
  const timesteps = Float32Array.from(places);
  const sigmas = Float32Array.from(timesteps, (t) => (t < 0 ? 0 : tToSigma(trained, t)));
  const notes: Schedule['notes'] = isUniPc && skipType !== 'time_uniform' ? [['UniPC skip type', skipType]] : [];
  const start = { timestep: rising[place] ?? 0, noiseInterval: null };
  return { scheduler: 'timesteps', label: null, sigmas, timesteps, notes, ...(share === undefined ? {} : { start }) };
}

/**
 * What a sampler goes along.
 * A scheduler means nothing to a sampler that takes none, as in the webui.
 * @throws UsageError for steps out of range, sigmas for a sampler that takes none, or a share that leaves no step
 */
export function planWalk(request: WalkRequest): SamplingWalk {
  const { sampler, own, trained = modelSigmas() } = request;
  if (own !== undefined) return ownWalk(request, own);
  if (sampler.automatic !== undefined) return scheduledWalk(request);
  return sampler.walk === 'range' ? rangeWalk(request, trained) : timestepWalk(request, trained);
}

/** Steps that a sampler completes on these sigmas: all but the restarts. */
export function walkedSteps(sigmas: ArrayLike<number>): number {
  let steps = 0;
  for (let i = 1; i < sigmas.length; i += 1) steps += (sigmas[i] ?? 0) > (sigmas[i - 1] ?? 0) ? 0 : 1;
  return steps;
}
