import { randomInt } from 'node:crypto';
import { UsageError } from '../request/errors.js';
import { LIMITS } from '../request/limits.js';

/** Random seeds are drawn from [0, 4294967294), as the webui draws them. */
const RANDOM_SEEDS = 4_294_967_294;

/** A random integer in [0, bound). */
export type RandomInteger = (bound: number) => number;

export interface SeedRequest {
  readonly seed: number;
  readonly subseed?: number;
  readonly subseedStrength?: number;
  readonly count: number;
  readonly batchSize: number;
}

/** The seeds of a run's pictures, batch by batch. */
export interface RunSeeds {
  readonly batches: readonly (readonly number[])[];
  /** Seeds of the variations, one a picture; undefined where there is none. */
  readonly variations: readonly (readonly number[])[] | undefined;
}

/**
 * Image i of all has the first seed + i. With a variation all have the first seed, and image i has the first variation
 * seed + i. A first seed of -1 is drawn.
 * @throws UsageError when the last seed would not be an exact integer
 */
export function runSeeds(request: SeedRequest, random: RandomInteger = randomInt): RunSeeds {
  const { seed, subseed = -1, subseedStrength = 0 } = request;
  const first = seed === -1 ? random(RANDOM_SEEDS) : seed;
  if (subseedStrength === 0) return { batches: countUp('seed', first, 1, request), variations: undefined };
  const variation = subseed === -1 ? random(RANDOM_SEEDS) : subseed;
  return {
    batches: countUp('seed', first, 0, request),
    variations: countUp('subseed', variation, 1, request),
  };
}

function countUp(field: string, first: number, step: number, { count, batchSize }: SeedRequest): number[][] {
  const images = count * batchSize;
  if (first > LIMITS.seed.max - step * (images - 1)) {
    throw new UsageError(
      `${field} must leave room for ${images} pictures (${field} + i up to ${LIMITS.seed.max}); ${first} does not`,
      field,
    );
  }
  return Array.from({ length: count }, (_, batch) =>
    Array.from({ length: batchSize }, (_, image) => first + step * (batch * batchSize + image)),
  );
}
