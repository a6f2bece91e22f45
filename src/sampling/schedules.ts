import { UsageError } from '../request/errors.js';
import { LIMITS } from '../request/limits.js';
import { type SchedulerName, unknownName } from './names.js';
import type { SamplerInfo } from './samplers.js';
import { DEFAULT_RHO, FORMULAS, type ScheduleRange } from './schedule-formulas.js';
import { distilledTable, modelSigmas, type SigmaTable, sigmaAt, trainedTable } from './trained-sigmas.js';

export type { SchedulerName } from './names.js';

export interface SchedulerInfo {
  readonly name: SchedulerName;
  /** As written in a picture's parameters ("Schedule type"), e.g. "Karras". */
  readonly label: string;
  /** Other accepted names. */
  readonly aliases: readonly string[];
}

/** What bends a schedule; 0 leaves the model's or the schedule's own. */
export interface ScheduleSettings {
  readonly sigmaMin: number;
  readonly sigmaMax: number;
  readonly rho: number;
  readonly betaDistAlpha: number;
  readonly betaDistBeta: number;
  /** Every sampler drops the last sigma but one. */
  readonly alwaysDiscardNextToLastSigma: boolean;
  /** From 10 to 0.1, whatever the model's are. */
  readonly useOldKarrasSchedulerSigmas: boolean;
}

export const SCHEDULE_DEFAULTS: ScheduleSettings = Object.freeze({
  sigmaMin: 0,
  sigmaMax: 0,
  rho: 0,
  betaDistAlpha: 0.6,
  betaDistBeta: 0.6,
  alwaysDiscardNextToLastSigma: false,
  useOldKarrasSchedulerSigmas: false,
});

export interface ScheduleRequest {
  readonly sampler: SamplerInfo;
  /** "automatic" stands for the sampler's own. */
  readonly scheduler: SchedulerInfo | SchedulerName;
  /** Sampling steps, within LIMITS.steps. */
  readonly steps: number;
  readonly settings?: ScheduleSettings;
  /** The model's sigmas, ascending. */
  readonly trained?: Float64Array;
}

export interface Schedule {
  /** The schedule that was used; never "automatic". */
  readonly scheduler: SchedulerName;
  /** What a picture's parameters show: the schedule's label, or "Automatic" where that meant the sampler's lack of one. */
  readonly label: string;
  /** Descending sigmas, rounded once from float64; one more than there are steps. */
  readonly sigmas: Float32Array;
  /** The settings that had an effect, as a picture's parameters name them. */
  readonly notes: readonly (readonly [key: string, value: number | boolean | string])[];
}

function scheduler(name: SchedulerName, label: string, aliases: readonly string[] = []): SchedulerInfo {
  return Object.freeze({ name, label, aliases: Object.freeze([...aliases]) });
}

export const SCHEDULERS: readonly SchedulerInfo[] = Object.freeze([
  scheduler('automatic', 'Automatic'),
  scheduler('uniform', 'Uniform'),
  scheduler('karras', 'Karras'),
  scheduler('exponential', 'Exponential'),
  scheduler('polyexponential', 'Polyexponential'),
  scheduler('sgm_uniform', 'SGM Uniform', ['SGMUniform']),
  scheduler('kl_optimal', 'KL Optimal'),
  scheduler('align_your_steps', 'Align Your Steps'),
  scheduler('simple', 'Simple'),
  scheduler('normal', 'Normal'),
  scheduler('ddim', 'DDIM'),
  scheduler('beta', 'Beta'),
  scheduler('turbo', 'Turbo'),
]);

const BY_NAME: ReadonlyMap<string, SchedulerInfo> = new Map(
  SCHEDULERS.flatMap((info) => [info.name, info.label, ...info.aliases].map((key) => [key.toLowerCase(), info])),
);

/** Labels of all schedulers, in the order of the table. */
export function schedulerLabels(): string[] {
  return SCHEDULERS.map((info) => info.label);
}

/**
 * The scheduler of a name, label or alias, whatever the case.
 * @throws UsageError when there is none; the nearest names are given
 */
export function findScheduler(text: string, field = 'scheduler'): SchedulerInfo {
  const info = BY_NAME.get(text.trim().toLowerCase());
  if (info === undefined) throw unknownName('scheduler', text, schedulerLabels(), field);
  return info;
}

type Notes = [key: string, value: number | boolean][];

/** The range of a schedule, and which settings made it other than the model's. */
function rangeOf(name: SchedulerName, table: SigmaTable, settings: ScheduleSettings, notes: Notes): ScheduleRange {
  const { sigmaMin, sigmaMax, rho, betaDistAlpha, betaDistBeta, useOldKarrasSchedulerSigmas: old } = settings;
  const own = { min: sigmaAt(table.sigmas, 0), max: sigmaAt(table.sigmas, table.sigmas.length - 1) };
  const { min, max } = old ? { min: 0.1, max: 10 } : own;
  const ownRho = DEFAULT_RHO[name];
  const asked = (key: string, value: number, usual: number): number => {
    if (value === 0 || value === usual) return usual;
    notes.push([key, value]);
    return value;
  };
  const range = {
    table,
    min: asked('Schedule min sigma', sigmaMin, min),
    max: asked('Schedule max sigma', sigmaMax, max),
    rho: ownRho === undefined ? 1 : asked('Schedule rho', rho, ownRho),
    alpha: betaDistAlpha,
    beta: betaDistBeta,
  };
  if (old) notes.push(['Old karras scheduler sigmas', true]);
  if (name === 'beta') notes.push(['Beta schedule alpha', betaDistAlpha], ['Beta schedule beta', betaDistBeta]);
  if (range.min < range.max) return range;
  throw new UsageError(
    `sigmaMin must be below sigmaMax; ${Number(range.min.toFixed(6))} is not below ${Number(range.max.toFixed(6))}`,
    'sigmaMin',
  );
}

/** @throws UsageError for a number of steps out of range */
export function checkSteps(steps: number): void {
  const { min, max } = LIMITS.steps;
  if (!Number.isInteger(steps) || steps < min || steps > max) {
    throw new UsageError(`steps must be a whole number from ${min} to ${max}, not ${steps}`, 'steps');
  }
}

/**
 * The sigmas of a sampler that walks a schedule.
 * @throws UsageError for a number of steps out of range, settings that contradict each other, or a sampler that takes
 * no schedule
 */
export function computeSigmas(request: ScheduleRequest): Schedule {
  const { sampler, steps, settings = SCHEDULE_DEFAULTS, trained = modelSigmas() } = request;
  checkSteps(steps);
  const asked = typeof request.scheduler === 'string' ? request.scheduler : request.scheduler.name;
  if (sampler.automatic === undefined) {
    throw new UsageError(`sampler "${sampler.name}" takes no schedule: leave the scheduler automatic`, 'scheduler');
  }
  const info = findScheduler(asked === 'automatic' ? sampler.automatic : asked);
  if (info.name === 'automatic') throw new Error(`sampler ${sampler.id} has no schedule of its own`);
  const notes: Notes = [];
  const discard = sampler.discardPenultimate || settings.alwaysDiscardNextToLastSigma;
  if (discard && !sampler.discardPenultimate) notes.push(['Discard penultimate sigma', true]);
  const table = sampler.distilled ? distilledTable(trained) : trainedTable(trained);
  const range = rangeOf(info.name, table, settings, notes);
  const sigmas = FORMULAS[info.name](discard ? steps + 1 : steps, range);
  if (discard) sigmas.splice(-2, 1);
  // Uniform is what "automatic" falls back to for a sampler without a schedule of its own; the webui then says so.
  const label = asked === 'automatic' && info.name === 'uniform' ? 'Automatic' : info.label;
  return { scheduler: info.name, label, sigmas: Float32Array.from(sigmas), notes };
}
