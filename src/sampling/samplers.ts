import { UsageError } from '../request/errors.js';
import { type SchedulerName, unknownName } from './names.js';

/**
 * What is known of a sampler. The order of the table is the order of the webui's list; the first is its default.
 * A sampler is `built` when the native engine has its loop under the same `id`.
 */
export interface SamplerInfo {
  /** As written in a picture's parameters, e.g. "DPM++ 2M". */
  readonly name: string;
  /** The native engine's name, e.g. "dpmpp_2m". */
  readonly id: string;
  /** Other accepted names. */
  readonly aliases: readonly string[];
  /** How it walks: over sigmas, over integer timesteps, or over a schedule it makes itself. */
  readonly steps: 'sigmas' | 'timesteps' | 'own';
  /** The schedule that "automatic" stands for; undefined where the sampler takes none. */
  readonly automatic: SchedulerName | undefined;
  /** Two evaluations a step: progress and prompt schedules count them. */
  readonly secondOrder: boolean;
  /** Makes one more sigma than asked and drops the last but one. */
  readonly discardPenultimate: boolean;
  /** The seed delta of the noise drawn after the start applies. */
  readonly usesEnsd: boolean;
  /** Draws its noise from a Brownian tree. */
  readonly brownian: boolean;
  /** Default eta: 1 for the k-diffusion family, 0 for timestep samplers. */
  readonly eta: number;
  readonly built: boolean;
}

type Traits = Partial<
  Pick<SamplerInfo, 'steps' | 'secondOrder' | 'discardPenultimate' | 'usesEnsd' | 'brownian' | 'eta' | 'built'>
>;

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
    steps: 'sigmas',
    secondOrder: false,
    discardPenultimate: false,
    usesEnsd: false,
    brownian: false,
    eta: traits.steps === 'timesteps' ? 0 : 1,
    built: false,
    ...traits,
  } as const);
}

export const SAMPLERS: readonly SamplerInfo[] = Object.freeze([
  sampler('DPM++ 2M', 'dpmpp_2m', ['k_dpmpp_2m'], 'karras', { built: true }),
  sampler('DPM++ SDE', 'dpmpp_sde', ['k_dpmpp_sde'], 'karras', { secondOrder: true, brownian: true }),
  sampler('DPM++ 2M SDE', 'dpmpp_2m_sde', ['k_dpmpp_2m_sde'], 'exponential', { brownian: true }),
  sampler('DPM++ 2M SDE Heun', 'dpmpp_2m_sde_heun', ['k_dpmpp_2m_sde_heun'], 'exponential', { brownian: true }),
  sampler('DPM++ 2S a', 'dpmpp_2s_ancestral', ['k_dpmpp_2s_a'], 'karras', {
    usesEnsd: true,
    secondOrder: true,
    built: true,
  }),
  sampler('DPM++ 3M SDE', 'dpmpp_3m_sde', ['k_dpmpp_3m_sde'], 'exponential', {
    brownian: true,
    discardPenultimate: true,
  }),
  sampler('Euler a', 'euler_ancestral', ['k_euler_a', 'k_euler_ancestral'], 'uniform', { usesEnsd: true, built: true }),
  sampler('Euler', 'euler', ['k_euler'], 'uniform', { built: true }),
  sampler('LMS', 'lms', ['k_lms'], 'uniform', { built: true }),
  sampler('Heun', 'heun', ['k_heun'], 'uniform', { secondOrder: true, built: true }),
  sampler('DPM2', 'dpm_2', ['k_dpm_2'], 'karras', { discardPenultimate: true, secondOrder: true, built: true }),
  sampler('DPM2 a', 'dpm_2_ancestral', ['k_dpm_2_a'], 'karras', {
    discardPenultimate: true,
    usesEnsd: true,
    secondOrder: true,
    built: true,
  }),
  sampler('DPM fast', 'dpm_fast', ['k_dpm_fast'], undefined, { steps: 'own', usesEnsd: true }),
  sampler('DPM adaptive', 'dpm_adaptive', ['k_dpm_ad'], undefined, { steps: 'own', usesEnsd: true }),
  sampler('Restart', 'restart', [], 'karras', { secondOrder: true }),
  sampler('DDIM', 'ddim', [], undefined, { steps: 'timesteps' }),
  sampler('DDIM CFG++', 'ddim_cfgpp', [], undefined, { steps: 'timesteps' }),
  sampler('PLMS', 'plms', [], undefined, { steps: 'timesteps' }),
  sampler('UniPC', 'unipc', [], undefined, { steps: 'timesteps' }),
  sampler('LCM', 'lcm', ['k_lcm'], undefined, { steps: 'own' }),
]);

const BY_NAME: ReadonlyMap<string, SamplerInfo> = new Map(
  SAMPLERS.flatMap((info) => [info.name, info.id, ...info.aliases].map((name) => [name.toLowerCase(), info] as const)),
);

/** Names of the samplers that can be used, in the order of the table. */
export function builtSamplers(): string[] {
  return SAMPLERS.filter((info) => info.built).map((info) => info.name);
}

/**
 * The sampler of a name, alias or native id, whatever the case.
 * @throws UsageError when there is none (the nearest names are given), or when it is known but not built yet.
 */
export function findSampler(text: string): SamplerInfo {
  const wanted = text.trim().toLowerCase();
  const info = BY_NAME.get(wanted);
  const built = builtSamplers().join(', ');
  if (info === undefined) {
    const known = SAMPLERS.map((entry) => entry.name);
    throw unknownName('sampler', text, known, built);
  }
  if (!info.built) {
    throw new UsageError(`sampler "${info.name}" is known, but not built yet; built: ${built}`, 'sampler');
  }
  return info;
}
