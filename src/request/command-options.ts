import { z } from 'zod';
import { LIMITS } from './limits.js';

const heads = () => z.number().int().min(1).max(1024).describe('a whole number from 1 to 1024').optional();

/** What a process is started with, as flags give it. Names of devices and precisions are resolved against the engine. */
export const commandOptionsSchema = z.strictObject({
  model: z.string().describe("a file or a model's name").optional(),
  stylesFile: z.array(z.string().min(1)).describe('files').optional(),
  modelsDir: z.array(z.string().min(1)).describe('folders').optional(),
  device: z.string().describe("a device's name").default('auto'),
  precision: z.string().describe("a precision's name").default('auto'),
  threads: z
    .number()
    .int()
    .min(LIMITS.threads.min)
    .max(LIMITS.threads.max)
    .describe(`a whole number from ${LIMITS.threads.min} to ${LIMITS.threads.max}`)
    .optional(),
  predictionType: z.enum(['epsilon', 'v_prediction']).describe('epsilon or v_prediction').optional(),
  textHeads: heads(),
  unetHeads: heads(),
  vae: z.string().min(1).describe("automatic, none, a file, a folder or a VAE's name").optional(),
  zeroTerminalSnr: z.boolean().describe('true or false').optional(),
  scaleFactor: z.number().min(1e-6).max(1e6).describe('a number from 0.000001 to 1000000').optional(),
});

export type CommandOptionsInput = z.input<typeof commandOptionsSchema>;
