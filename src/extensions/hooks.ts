import type { Latent } from '../native/types.js';

/**
 * The extension API's version. Within a version hooks and their payloads only gain; a hook or field goes only with the
 * next, after a release in which its use is warned about.
 */
export const EXTENSION_API_VERSION = 1;

/** Which run a payload is about. */
interface OfRun {
  readonly runId: string;
}

/** Where in a run the sampler stands; latents are copies. */
interface Moment extends OfRun {
  /** Batch, from 1. */
  readonly batch: number;
  /** Steps that are complete, and of how many. */
  readonly step: number;
  readonly steps: number;
  /** Model evaluations before this one. */
  readonly evaluation: number;
  /** Where the network is asked; of samplers that walk timesteps sqrt((1 - ᾱ)/ᾱ). */
  readonly sigma: number;
}

/** A picture as RGB8, row-major. */
interface Pixels extends OfRun {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8Array;
  readonly infotext: string;
}

/** What each hook is told. A field that a hook may replace is named in `Replies`. */
export interface Payloads {
  /** Once a process, before anything else: which command, which version of this program. */
  readonly app_started: { readonly command: string; readonly version: string };
  /** Before a request is validated: its fields as the caller gave them. */
  readonly before_process: OfRun & { readonly request: Readonly<Record<string, unknown>> };
  /** The weights have been read for this run (not when they were in memory). */
  readonly model_loaded: OfRun & { readonly name: string; readonly sha256: string; readonly family: string };
  /** Before the first evaluation of each pass: the start, noise included. */
  readonly extra_noise: OfRun & { readonly batch: number; readonly sigma: number; readonly latent: Latent };
  /** Before each evaluation: what the network will be asked about. */
  readonly cfg_denoiser: Moment & { readonly latent: Latent };
  /** After it: what each prompt's branch and the unconditional one make of it, before guidance. */
  readonly cfg_denoised: Moment & { readonly conds: readonly Latent[]; readonly uncond: Latent | undefined };
  /** After guidance: the estimate that the sampler goes on with. */
  readonly after_cfg: Moment & { readonly latent: Latent };
  /** All pictures are made, none is saved. */
  readonly after_process: OfRun & {
    readonly images: readonly { readonly seed: number; readonly pixels: Uint8Array }[];
  };
  readonly before_image_saved: Pixels & { readonly index: number; readonly seed: number };
  readonly image_grid: Pixels & { readonly images: number };
  readonly image_saved: OfRun & { readonly index: number; readonly path: string | undefined; readonly sha256: string };
  /** A picture's parameters were read to be taken over or told. */
  readonly infotext_pasted: { readonly infotext: string; readonly parameters: Readonly<Record<string, string>> };
}

/** What a hook may give back; nothing leaves everything as it is. */
export interface Replies {
  readonly app_started: undefined;
  /** Fields to set. */
  readonly before_process: Readonly<Record<string, unknown>>;
  readonly model_loaded: undefined;
  readonly extra_noise: Float32Array;
  readonly cfg_denoiser: Float32Array;
  readonly cfg_denoised: { readonly conds?: readonly Float32Array[]; readonly uncond?: Float32Array };
  readonly after_cfg: Float32Array;
  readonly after_process: undefined;
  readonly before_image_saved: { readonly pixels?: Uint8Array; readonly infotext?: string };
  readonly image_grid: { readonly pixels?: Uint8Array };
  readonly image_saved: undefined;
  readonly infotext_pasted: Readonly<Record<string, string>>;
}

export type HookName = keyof Payloads;

/** In the order in which a run comes to them. A test holds names and order: clients rely on both. */
export const HOOK_NAMES = [
  'app_started',
  'infotext_pasted',
  'before_process',
  'model_loaded',
  'extra_noise',
  'cfg_denoiser',
  'cfg_denoised',
  'after_cfg',
  'after_process',
  'before_image_saved',
  'image_grid',
  'image_saved',
] as const satisfies readonly HookName[];

/** Hooks of the sampling loop: they are called from within it, and it waits for them. */
export const LATENT_HOOKS = ['extra_noise', 'cfg_denoiser', 'cfg_denoised', 'after_cfg'] as const;
export type LatentHookName = (typeof LATENT_HOOKS)[number];

/** Names that still work, and what they are called now. */
export const DEPRECATED_HOOKS: Readonly<Record<string, HookName>> = { cfg_after_cfg: 'after_cfg' };

/** A hook runs to its end before the run goes on; it may not be asynchronous. */
export type Hook<K extends HookName> = (payload: Payloads[K]) => Replies[K] | undefined;

/** What an extension's module exports as its default. */
export interface Extension {
  readonly name: string;
  readonly apiVersion: number;
  readonly hooks: { readonly [K in HookName]?: Hook<K> };
}
