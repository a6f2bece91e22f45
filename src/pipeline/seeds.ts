import { randomInt } from 'node:crypto';
import { UsageError } from '../request/errors.js';
import { LIMITS } from '../request/limits.js';

/** Random seeds are drawn from [0, 4294967294), as the webui draws them. */
const RANDOM_SEEDS = 4_294_967_294;

/** A random integer in [0, bound). */
export type RandomInteger = (bound: number) => number;

/**
 * The seeds of a run's batches: image i of all has the first seed + i; a first seed of -1 is drawn.
 * @throws UsageError when the last seed would not be an exact integer
 */
export function batchSeeds(
  request: { readonly seed: number; readonly count: number; readonly batchSize: number },
  random: RandomInteger = randomInt,
): number[][] {
  const { seed, count, batchSize } = request;
  const first = seed === -1 ? random(RANDOM_SEEDS) : seed;
  if (first > LIMITS.seed.max - (count * batchSize - 1)) {
    throw new UsageError(
      `seed must leave room for ${count * batchSize} pictures (seed + i up to ${LIMITS.seed.max}); ${first} does not`,
      'seed',
    );
  }
  return Array.from({ length: count }, (_, batch) =>
    Array.from({ length: batchSize }, (_, image) => first + batch * batchSize + image),
  );
}
