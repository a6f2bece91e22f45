import type { Latent } from './latent.js';

/** What a hook in the sampling loop is shown; the latents are copies. */
export interface HookCall {
  readonly hook: HookKind;
  /** Steps that are complete. */
  readonly step: number;
  /** Model evaluations before this one. */
  readonly evaluation: number;
  /** Of samplers that walk timesteps sqrt((1 - ᾱ)/ᾱ). */
  readonly sigma: number;
  /** One; of cfg_denoised a branch for each prompt part, and the unconditional one last where `hasUncond`. */
  readonly latents: readonly Latent[];
  readonly hasUncond: boolean;
}
export type HookKind = 'extra_noise' | 'cfg_denoiser' | 'cfg_denoised' | 'after_cfg';
/** For each latent what takes its place; without any nothing changes. */
export type HookReply = readonly (Float32Array | undefined)[] | undefined;
