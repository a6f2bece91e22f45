import { z } from 'zod';
import { HIRES_DEFAULTS, HIRES_LIMITS, LIMITS } from './limits.js';

interface Range {
  readonly min: number;
  readonly max: number;
}

const number = ({ min, max }: Range) => z.number().min(min).max(max).describe(`a number from ${min} to ${max}`);

/** Pixels along a side; 0 follows the other. */
const side = () =>
  z
    .number()
    .int()
    .min(0)
    .max(LIMITS.side.max)
    .describe(`a whole number from 0 to ${LIMITS.side.max}; 0 follows the other side`)
    .default(HIRES_DEFAULTS.resize);
const words = () =>
  z
    .string()
    .max(LIMITS.promptCharacters, { error: `may have at most ${LIMITS.promptCharacters} characters` })
    .describe("text; where empty the first pass's")
    .default('');

/** Fields of the second pass ("hires fix"): the picture enlarged and gone over again. They count where `hires` is set. */
export const hiresShape = {
  hires: z.boolean().describe('true or false').default(false),
  /** The picture's sides times this, unless sides are given. */
  hiresScale: number(HIRES_LIMITS.scale).default(HIRES_DEFAULTS.scale),
  /** Sides to enlarge to; with both the picture covers them and its middle is taken. */
  hiresResizeX: side(),
  hiresResizeY: side(),
  hiresUpscaler: z.string().min(1).describe("an upscaler's name").default(HIRES_DEFAULTS.upscaler),
  /** Exactly so many, whatever the strength; 0: as the first pass. */
  hiresSteps: z
    .number()
    .int()
    .min(0)
    .max(LIMITS.steps.max)
    .describe(`a whole number from 0 to ${LIMITS.steps.max}; 0 is the first pass's`)
    .default(HIRES_DEFAULTS.steps),
  hiresDenoisingStrength: number(HIRES_LIMITS.denoisingStrength).default(HIRES_DEFAULTS.denoisingStrength),
  /** What is not given here is the first pass's. */
  hiresSampler: z.string().min(1).describe("a sampler's name").optional(),
  hiresScheduler: z.string().min(1).describe("a scheduler's name").optional(),
  hiresCfgScale: number(LIMITS.cfgScale).optional(),
  hiresPrompt: words(),
  hiresNegativePrompt: words(),
} as const;
