import { createHash } from 'node:crypto';
import { z } from 'zod';
import { shortHash } from '../checkpoints/hash.js';
import { NUMERICS_VERSION } from '../context/version.js';
import { canonicalJson, type GenerationPlan, PLAN_FORMAT } from '../pipeline/plan.js';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/**
 * What a plan asks of the worker that takes it. Plans that ask the same wait in one queue, so that a worker takes from
 * the queues that it can serve and never has to put a plan back.
 */
export const classSchema = z.strictObject({
  planFormat: z.string().max(100),
  numerics: z.number().int(),
  /** The name is for people: the hash decides. */
  model: z.strictObject({ name: z.string().max(1000), sha256 }),
  vae: z.strictObject({ name: z.string().max(1000), sha256 }).nullable(),
  /** "any" at fp32, which gives the same bytes on every device. */
  device: z.string().max(40),
  precision: z.string().max(40),
  /** Where results and input pictures lie: a store's id, or null for the queue itself. */
  store: z.string().max(200).nullable(),
});
export type WorkClass = Readonly<z.output<typeof classSchema>>;

export function classOf({ model, device }: GenerationPlan, store: string | null): WorkClass {
  return {
    planFormat: PLAN_FORMAT,
    numerics: NUMERICS_VERSION,
    model: { name: model.name, sha256: model.sha256 },
    vae: model.vae === null ? null : { name: model.vae.name, sha256: model.vae.sha256 },
    device: device.precision === 'fp32' ? 'any' : device.name,
    precision: device.precision,
    store,
  };
}

/** The name of a class's queue: what is asked, hashed; a model's own name does not count. */
export function classQueue({ model, vae, ...rest }: WorkClass): string {
  const asked = canonicalJson({ ...rest, model: model.sha256, vae: vae?.sha256 ?? null });
  return `plans-${createHash('sha256').update(asked).digest('hex').slice(0, 32)}`;
}

/** What a worker can do. */
export const abilitiesSchema = z.strictObject({
  planFormat: z.string(),
  numerics: z.number().int(),
  models: z.array(z.strictObject({ name: z.string(), sha256 })),
  vaes: z.array(z.strictObject({ name: z.string(), sha256 })),
  device: z.string(),
  precisions: z.array(z.string()),
  store: z.string().nullable(),
});
export type Abilities = Readonly<z.output<typeof abilitiesSchema>>;

/** Why a worker cannot take plans of a class; undefined where it can. */
export function refusal(work: WorkClass, able: Abilities): string | undefined {
  if (work.planFormat !== able.planFormat) {
    return `plans of the format ${work.planFormat}, and this sdgen runs ${able.planFormat}`;
  }
  if (work.numerics !== able.numerics) {
    return `plans for version ${work.numerics} of the numerics, and this sdgen has ${able.numerics}`;
  }
  if (!able.models.some(({ sha256 }) => sha256 === work.model.sha256)) {
    return `the model ${work.model.name} (${shortHash(work.model.sha256)}) is not here`;
  }
  const { vae } = work;
  if (vae !== null && ![...able.vaes, ...able.models].some(({ sha256 }) => sha256 === vae.sha256)) {
    return `the VAE ${vae.name} (${shortHash(vae.sha256)}) is not here`;
  }
  if (!able.precisions.includes(work.precision)) return `${work.precision} is not among ${able.precisions.join(', ')}`;
  if (work.device !== 'any' && work.device !== able.device) {
    return `${work.device} ${work.precision} is asked for, and this worker is ${able.device}`;
  }
  if (work.store !== null && work.store !== able.store) return 'another --store is asked for';
  return undefined;
}

/** One of the queues that a worker can serve. */
export interface Choice {
  readonly queue: string;
  readonly model: string;
  readonly waiting: number;
}

/** How long a worker stays with one model while others are waited for. */
export const STAY_MS = 60_000;

/**
 * The queues in the order in which a worker tries them: those of the model in memory first, since another one costs a
 * load; then the longest. After STAY_MS of that the others come first, so that nobody waits for ever.
 */
export function chooseOrder(
  choices: readonly Choice[],
  loaded: { readonly model: string; readonly sinceMs: number } | undefined,
): Choice[] {
  const open = choices.filter(({ waiting }) => waiting > 0).sort((a, b) => b.waiting - a.waiting);
  const own = open.filter(({ model }) => model === loaded?.model);
  const others = open.filter(({ model }) => model !== loaded?.model);
  const isLong = loaded !== undefined && loaded.sinceMs >= STAY_MS;
  return isLong ? [...others, ...own] : [...own, ...others];
}
