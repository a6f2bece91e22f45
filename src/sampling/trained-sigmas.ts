const TRAINING_STEPS = 1000;
const BETA_START = 0.00085;
const BETA_END = 0.012;

/** Sigmas that a model knows, and the way between them and timesteps. */
export interface SigmaTable {
  /** Ascending. */
  readonly sigmas: Float64Array;
  readonly toSigma: (t: number) => number;
  readonly toT: (sigma: number) => number;
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

/** Sigma of a possibly fractional timestep: linear in log sigma between its neighbours; `t` is clamped to the table. */
export function tToSigma(sigmas: Float64Array, t: number): number {
  const inside = Math.min(Math.max(t, 0), sigmas.length - 1);
  const low = Math.min(Math.floor(inside), sigmas.length - 2);
  const weight = inside - low;
  // The ends of an interval are the table's own values, without a trip through log and exp.
  if (weight === 0) return sigmaAt(sigmas, low);
  if (weight === 1) return sigmaAt(sigmas, low + 1);
  return Math.exp((1 - weight) * Math.log(sigmaAt(sigmas, low)) + weight * Math.log(sigmaAt(sigmas, low + 1)));
}

/** The timestep of a sigma, the inverse of tToSigma; sigmas outside the table give its first or last timestep. */
export function sigmaToT(sigmas: Float64Array, sigma: number): number {
  if (!(sigma > sigmaAt(sigmas, 0))) return 0;
  const last = sigmas.length - 1;
  if (sigma >= sigmaAt(sigmas, last)) return last;
  let low = 0;
  let high = last;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (sigmaAt(sigmas, middle) <= sigma) low = middle;
    else high = middle;
  }
  const from = Math.log(sigmaAt(sigmas, low));
  return low + (Math.log(sigma) - from) / (Math.log(sigmaAt(sigmas, high)) - from);
}

export function sigmaAt(values: Float64Array, index: number): number {
  const value = values[index];
  if (value === undefined) throw new RangeError(`index ${index} of ${values.length} sigmas`);
  return value;
}

/** The table of a model that was trained on all timesteps. */
export function trainedTable(sigmas = modelSigmas()): SigmaTable {
  return { sigmas, toSigma: (t) => tToSigma(sigmas, t), toT: (sigma) => sigmaToT(sigmas, sigma) };
}

/** Every 20th timestep, 19 to 999: what latent consistency models are distilled on (Luo et al. 2023). */
const DISTILLED_STEP = 20;

/** The table of a consistency model: a sigma's timestep is the nearest distilled one, in log sigma. */
export function distilledTable(trained = modelSigmas()): SigmaTable {
  const sigmas = trained.filter((_, t) => t % DISTILLED_STEP === DISTILLED_STEP - 1);
  const timestep = (index: number): number => index * DISTILLED_STEP + DISTILLED_STEP - 1;
  return {
    sigmas,
    toSigma: (t) => tToSigma(sigmas, (t - timestep(0)) / DISTILLED_STEP),
    toT: (sigma) => timestep(Math.round(sigmaToT(sigmas, sigma))),
  };
}
