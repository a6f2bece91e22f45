import { type SchedulerName, unknownName } from './names.js';

/**
 * What a sampler goes along: sigmas of a schedule; the same with restarts, where a sigma rises again; timesteps of its
 * own; or nothing but the range of sigmas.
 */
export type Walk = 'sigmas' | 'restarts' | 'timesteps' | 'range';

/** What is known of a sampler. The order of the table is the order of the webui's list; the first is its default. */
export interface SamplerInfo {
  /** As written in a picture's parameters, e.g. "DPM++ 2M". */
  readonly name: string;
  /** The native engine's name, e.g. "dpmpp_2m". */
  readonly id: string;
  /** Other accepted names. */
  readonly aliases: readonly string[];
  readonly walk: Walk;
  /** The schedule that "automatic" stands for; undefined where the sampler takes none. */
  readonly automatic: SchedulerName | undefined;
  /** Two evaluations a step: prompt schedules count them. */
  readonly secondOrder: boolean;
  /** Makes one more sigma than asked and drops the last but one. */
  readonly discardPenultimate: boolean;
  /** The seed delta of the noise drawn after the start is told in a picture's parameters. */
  readonly usesEnsd: boolean;
  /** Draws its noise from a Brownian tree. */
  readonly brownian: boolean;
  /** Default eta: 1 for the k-diffusion family, 0 for timestep samplers. */
  readonly eta: number;
  /** The settings that it reads. */
  readonly takes: readonly ('eta' | 'churn' | 'noise')[];
  /** Its sigmas are those of the 50 timesteps that consistency models are distilled on. */
  readonly distilled: boolean;
  /** The unconditional branch counts at every guidance scale. */
  readonly needsUncond: boolean;
  /** Its steps depend on the picture, so pictures of a batch would change each other. */
  readonly oneImage: boolean;
}

type Traits = Partial<Omit<SamplerInfo, 'name' | 'id' | 'aliases' | 'automatic'>>;

function sampler(
  name: string,
  id: string,
  aliases: readonly string[],
  automatic: SchedulerName | undefined,
  traits: Traits = {},
): SamplerInfo {
  return Object.freeze({
    name,
    id,
    aliases: Object.freeze([...aliases]),
    automatic,
    walk: 'sigmas',
    secondOrder: false,
    discardPenultimate: false,
    usesEnsd: false,
    brownian: false,
    eta: traits.walk === 'timesteps' ? 0 : 1,
    takes: [],
    distilled: false,
    needsUncond: false,
    oneImage: false,
    ...traits,
  } as const);
}

const SDE: Traits = { brownian: true, takes: ['eta', 'noise'] };
const CHURN: Traits = { takes: ['churn', 'noise'] };

export const SAMPLERS: readonly SamplerInfo[] = Object.freeze([
  sampler('DPM++ 2M', 'dpmpp_2m', ['k_dpmpp_2m'], 'karras'),
  sampler('DPM++ SDE', 'dpmpp_sde', ['k_dpmpp_sde'], 'karras', { ...SDE, secondOrder: true }),
  sampler('DPM++ 2M SDE', 'dpmpp_2m_sde', ['k_dpmpp_2m_sde'], 'exponential', SDE),
  sampler('DPM++ 2M SDE Heun', 'dpmpp_2m_sde_heun', ['k_dpmpp_2m_sde_heun'], 'exponential', SDE),
  sampler('DPM++ 2S a', 'dpmpp_2s_ancestral', ['k_dpmpp_2s_a'], 'karras', {
    usesEnsd: true,
    secondOrder: true,
    takes: ['eta', 'noise'],
  }),
  sampler('DPM++ 3M SDE', 'dpmpp_3m_sde', ['k_dpmpp_3m_sde'], 'exponential', { ...SDE, discardPenultimate: true }),
  sampler('Euler a', 'euler_ancestral', ['k_euler_a', 'k_euler_ancestral'], 'uniform', {
    usesEnsd: true,
    takes: ['eta'],
  }),
  sampler('Euler', 'euler', ['k_euler'], 'uniform', CHURN),
  sampler('LMS', 'lms', ['k_lms'], 'uniform'),
  sampler('Heun', 'heun', ['k_heun'], 'uniform', { ...CHURN, secondOrder: true }),
  sampler('DPM2', 'dpm_2', ['k_dpm_2'], 'karras', { ...CHURN, discardPenultimate: true, secondOrder: true }),
  sampler('DPM2 a', 'dpm_2_ancestral', ['k_dpm_2_a'], 'karras', {
    discardPenultimate: true,
    usesEnsd: true,
    secondOrder: true,
    takes: ['eta', 'noise'],
  }),
  sampler('DPM fast', 'dpm_fast', ['k_dpm_fast'], undefined, {
    walk: 'range',
    usesEnsd: true,
    takes: ['eta', 'noise'],
  }),
  sampler('DPM adaptive', 'dpm_adaptive', ['k_dpm_ad'], undefined, {
    walk: 'range',
    usesEnsd: true,
    takes: ['eta'],
    oneImage: true,
  }),
  sampler('Restart', 'restart', [], 'karras', { walk: 'restarts', secondOrder: true }),
  sampler('DDIM', 'ddim', [], undefined, { walk: 'timesteps', takes: ['eta'] }),
  sampler('DDIM CFG++', 'ddim_cfgpp', [], undefined, { walk: 'timesteps', takes: ['eta'], needsUncond: true }),
  sampler('PLMS', 'plms', [], undefined, { walk: 'timesteps' }),
  sampler('UniPC', 'unipc', [], undefined, { walk: 'timesteps' }),
  sampler('LCM', 'lcm', ['k_lcm'], 'uniform', { distilled: true }),
]);

const BY_NAME: ReadonlyMap<string, SamplerInfo> = new Map(
  SAMPLERS.flatMap((info) => [info.name, info.id, ...info.aliases].map((name) => [name.toLowerCase(), info] as const)),
);

/** Names of all samplers, in the order of the table. */
export function samplerNames(): string[] {
  return SAMPLERS.map((info) => info.name);
}

/**
 * The sampler of a name, alias or native id, whatever the case.
 * @throws UsageError when there is none; the nearest names are given
 */
export function findSampler(text: string, field = 'sampler'): SamplerInfo {
  const info = BY_NAME.get(text.trim().toLowerCase());
  if (info === undefined) throw unknownName('sampler', text, samplerNames(), field);
  return info;
}
