import { z } from 'zod';
import { type FieldNaming, parseWith } from '../request/describe.js';
import { EMPHASIS_NAMES, LIMITS, UNIPC_VARIANTS } from '../request/limits.js';

const finite = (rule: string, min: number, max = Number.MAX_VALUE) => z.number().min(min).max(max).describe(rule);

const within = ({ min, max }: { readonly min: number; readonly max: number }) =>
  finite(`a number from ${min} to ${max}`, min, max);
const optional = (what: string) => finite(`a number of 0 or more; 0 is ${what}`, 0).default(0);
const flag = () => z.boolean().describe('true or false').default(false);
const SEEDS = LIMITS.seed.max;

/**
 * Settings that outlive a request. A run reads a frozen snapshot; changing the store changes later runs only.
 * Names of sampler settings are k-diffusion's and the webui's.
 */
export const optionsSchema = z.strictObject({
  /** How far back a full token window may be cut at a comma, in tokens. */
  commaPaddingBacktrack: z.number().int().min(0).max(74).describe('a whole number from 0 to 74').default(20),
  /** What weights in a prompt do. */
  emphasis: z
    .enum(EMPHASIS_NAMES)
    .describe(`one of ${EMPHASIS_NAMES.join(', ')}`)
    .default('Original'),
  /** Whether # begins a comment in a prompt. */
  promptComments: z.boolean().describe('true or false').default(true),
  /** Whether numbers in prompt schedules are read as the webui before 1.6 reads them. */
  oldPromptSchedules: z.boolean().describe('true or false').default(false),
  eta: within(LIMITS.eta).default(1),
  etaDdim: within(LIMITS.eta).default(0),
  sChurn: within(LIMITS.sChurn).default(0),
  sTmin: within(LIMITS.sTmin).default(0),
  sTmax: optional('no limit'),
  sNoise: within(LIMITS.sNoise).default(1),
  /** Added to the seed for all noise after the start's; 31337 reproduces NovelAI. */
  etaNoiseSeedDelta: z.number().int().min(-SEEDS).max(SEEDS).describe('a whole number').default(0),
  sigmaMin: optional("the schedule's own"),
  sigmaMax: optional("the schedule's own"),
  rho: finite("a number from 0 to 100; 0 is the schedule's own", 0, 100).default(0),
  betaDistAlpha: finite('a number from 0.01 to 100', 0.01, 100).default(0.6),
  betaDistBeta: finite('a number from 0.01 to 100', 0.01, 100).default(0.6),
  alwaysDiscardNextToLastSigma: flag(),
  useOldKarrasSchedulerSigmas: flag(),
  /** The start is sqrt(1 + sigma²) times the noise, as Stability AI's code has it. */
  sgmNoiseMultiplier: flag(),
  /** Timesteps are rounded to whole ones. */
  enableQuantization: flag(),
  /** Runs that begin with a picture make exactly `steps` steps, whatever the strength. */
  img2imgFixSteps: flag(),
  /** What transparent places of a picture to begin with show. */
  img2imgBackgroundColor: z
    .string()
    .regex(/^#[0-9a-fA-F]{6}$/)
    .describe('a colour such as #ffffff')
    .default('#ffffff'),
  /** Noise that is added to the start once more, by its share. */
  img2imgExtraNoise: finite('a number from 0 to 1', 0, 1).default(0),
  /** Pictures get the colours of the one that they began with. */
  img2imgColorCorrection: flag(),
  initialNoiseMultiplier: finite('a number from 0 to 10', 0, 10).default(1),
  /** How much of the masked place inpainting models do not see. */
  inpaintingMaskWeight: finite('a number from 0 to 1', 0, 1).default(1),
  uniPcVariant: z
    .enum(UNIPC_VARIANTS)
    .describe(`one of ${UNIPC_VARIANTS.join(', ')}`)
    .default('bh1'),
  uniPcSkipType: z
    .enum(['time_uniform', 'time_quadratic', 'logSNR'])
    .describe('time_uniform, time_quadratic or logSNR')
    .default('time_uniform'),
  uniPcOrder: z.number().int().min(1).max(3).describe('a whole number from 1 to 3').default(3),
});

export type Options = z.output<typeof optionsSchema>;
export type OptionsSnapshot = Readonly<Options>;
export type OptionsInput = z.input<typeof optionsSchema>;

/** Freezes an object and everything it holds. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const key of Reflect.ownKeys(value)) deepFreeze(Reflect.get(value, key));
  return Object.freeze(value);
}

/** Holds the current options; only `set` changes them. */
export class OptionStore {
  #current: OptionsSnapshot;

  constructor(initial: unknown = {}) {
    this.#current = deepFreeze(parseWith(optionsSchema, initial));
  }

  /** @throws UsageError; nothing changes then. */
  set(changes: unknown): void {
    this.#current = derive(this.#current, changes);
  }

  /** The options as they are now, deep-frozen. */
  snapshot(): OptionsSnapshot {
    return this.#current;
  }
}

/**
 * A snapshot with a request's overrides. The store is not touched, so there is nothing to restore.
 * @throws UsageError for unknown names and values out of range.
 */
export function derive(snapshot: OptionsSnapshot, overrides: unknown, naming?: FieldNaming): OptionsSnapshot {
  if (overrides === undefined) return snapshot;
  const isObject = typeof overrides === 'object' && overrides !== null && !Array.isArray(overrides);
  return deepFreeze(parseWith(optionsSchema, isObject ? { ...snapshot, ...overrides } : overrides, naming));
}
