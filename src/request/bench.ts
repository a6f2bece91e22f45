import { z } from 'zod';
import { BENCH_DEFAULTS, LIMITS } from './limits.js';

const whole = (min: number, max: number) =>
  z.number().int().min(min).max(max).describe(`a whole number from ${min} to ${max}`);
const side = () =>
  z
    .number()
    .int()
    .min(LIMITS.side.min)
    .max(LIMITS.side.max)
    .multipleOf(LIMITS.side.multiple)
    .describe(`a multiple of ${LIMITS.side.multiple} from ${LIMITS.side.min} to ${LIMITS.side.max}`);
/** Words joined by commas; their names are the engine's to know. */
const list = () => z.string().describe('names joined by commas').optional();

export const benchSchema = z.strictObject({
  arch: z.string().min(1).describe("an architecture's name").default(BENCH_DEFAULTS.arch),
  part: list(),
  precision: list(),
  width: side().default(BENCH_DEFAULTS.width),
  height: side().default(BENCH_DEFAULTS.height),
  batch: whole(1, LIMITS.batchSize.max).default(BENCH_DEFAULTS.batch),
  repeat: whole(1, 1000).default(BENCH_DEFAULTS.repeat),
  opShapes: z.boolean().describe('true or false').default(false),
});
