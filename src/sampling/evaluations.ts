import { findSampler } from './samplers.js';

/** What decides how often a sampler asks the network. */
export interface SampledWalk {
  /** The native engine's id. */
  readonly sampler: string;
  /** As the sampler receives them. */
  readonly sigmas: readonly number[];
  readonly eta: number;
}

/** Model evaluations of a run of one batch. */
export interface Evaluations {
  readonly count: number;
  /** False where the sampler's steps depend on the picture, and the count is a usual one. */
  readonly isExact: boolean;
}

/** DPM adaptive accepts about 20 to 30 of its steps of three evaluations; the picture and the guidance decide. */
const ADAPTIVE_USUAL = 75;

/** Where an ancestral step goes down to: `ancestral_step` of the engine. */
function ancestralDown(from: number, to: number, eta: number): number {
  if (eta === 0) return to;
  const up = Math.min(to, eta * Math.sqrt((to * to * (from * from - to * to)) / (from * from)));
  return Math.sqrt(to * to - up * up);
}

type Rule = (from: number, to: number, eta: number, step: number) => number;

/** A second evaluation at or before the step's end, which the last step to 0 does without. */
const twiceUnlessLast: Rule = (_from, to) => (to === 0 ? 1 : 2);
const twiceUnlessDown: Rule = (from, to, eta) => (ancestralDown(from, to, eta) > 0 ? 2 : 1);

/** Evaluations of one step; one where a sampler is not named. */
const RULES: Readonly<Record<string, Rule>> = {
  heun: twiceUnlessLast,
  dpm_2: twiceUnlessLast,
  dpmpp_sde: twiceUnlessLast,
  dpm_2_ancestral: twiceUnlessDown,
  dpmpp_2s_ancestral: twiceUnlessDown,
  // Where a sigma rises noise alone is added.
  restart: (from, to) => (to > from ? 0 : to === 0 ? 1 : 2),
  plms: (_from, _to, _eta, step) => (step === 0 ? 2 : 1),
};

/** How often the network is evaluated for one batch, guidance counting as one evaluation. */
export function evaluationsOf({ sampler, sigmas, eta }: SampledWalk): Evaluations {
  if (findSampler(sampler).oneImage) return { count: ADAPTIVE_USUAL, isExact: false };
  const rule = RULES[sampler] ?? (() => 1);
  let count = 0;
  for (let i = 0; i + 1 < sigmas.length; i += 1) count += rule(sigmas[i] ?? 0, sigmas[i + 1] ?? 0, eta, i);
  return { count, isExact: true };
}
