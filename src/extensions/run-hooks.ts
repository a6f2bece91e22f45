import type { OpenModel } from '../context/runtime-context.js';
import type { HookCall, HookReply } from '../native/hook-types.js';
import type { GeneratedImage, LatentListener } from '../pipeline/execute.js';
import type { Payloads } from './hooks.js';
import type { ExtensionRegistry } from './registry.js';

/** What the engine takes: for each latent the array that stands in its place, where a hook put one there. */
function replies(before: HookCall['latents'], after: readonly { readonly data: Float32Array }[]): HookReply {
  const changed = before.map((latent, i) => (after[i]?.data === latent.data ? undefined : after[i]?.data));
  return changed.some((data) => data !== undefined) ? changed : undefined;
}

/** The hooks of one run, called by its stages; where nobody listens nothing is made for it. */
export class RunHooks {
  readonly #registry: ExtensionRegistry | undefined;
  readonly #runId: string;

  constructor(registry: ExtensionRegistry | undefined, runId: string) {
    this.#registry = registry;
    this.#runId = runId;
  }

  /** Those whose hooks may change pixels, for the picture's parameters. */
  get names(): readonly string[] {
    return this.#registry?.changing ?? [];
  }

  /** The request as extensions want it; checked like any other afterwards. */
  request(input: unknown): unknown {
    if (this.#registry?.has('before_process') !== true) return input;
    if (typeof input !== 'object' || input === null || Array.isArray(input)) return input;
    return this.#registry.call('before_process', { runId: this.#runId, request: { ...input } }).request;
  }

  modelLoaded({ name, sha256, description }: OpenModel): void {
    this.#registry?.call('model_loaded', { runId: this.#runId, name, sha256, family: description.family });
  }

  /** Of a batch (from 1): what the sampler asks, undefined where it need not. */
  latents(batch: number, steps: number): LatentListener | undefined {
    const registry = this.#registry;
    const hooks = registry?.latentHooks() ?? [];
    if (registry === undefined || hooks.length === 0) return undefined;
    return { hooks, onHook: (call) => this.#answer(registry, call, batch, steps) };
  }

  #answer(registry: ExtensionRegistry, call: HookCall, batch: number, steps: number): HookReply {
    const { hook, step, evaluation, sigma, latents, hasUncond } = call;
    const runId = this.#runId;
    const [latent] = latents;
    if (latent === undefined) return undefined;
    if (hook === 'extra_noise') {
      return replies(latents, [registry.call(hook, { runId, batch, sigma, latent }).latent]);
    }
    const moment = { runId, batch, step, steps, evaluation, sigma };
    if (hook !== 'cfg_denoised') return replies(latents, [registry.call(hook, { ...moment, latent }).latent]);
    const uncond = hasUncond ? latents.at(-1) : undefined;
    const conds = hasUncond ? latents.slice(0, -1) : latents;
    const after = registry.call(hook, { ...moment, conds, uncond });
    return replies(latents, after.uncond === undefined ? after.conds : [...after.conds, after.uncond]);
  }

  processed(images: readonly GeneratedImage[]): void {
    if (this.#registry?.has('after_process') !== true) return;
    const shown = images.map(({ seed, pixels }) => ({ seed, pixels: Uint8Array.from(pixels) }));
    this.#registry.call('after_process', { runId: this.#runId, images: shown });
  }

  /** The picture as extensions want it to be kept. */
  beforeSaved<T extends Omit<Payloads['before_image_saved'], 'runId'>>(image: T): T {
    if (this.#registry?.has('before_image_saved') !== true) return image;
    const { index, seed, width, height, infotext } = image;
    const pixels = Uint8Array.from(image.pixels);
    const shown = { runId: this.#runId, index, seed, width, height, infotext, pixels };
    const after = this.#registry.call('before_image_saved', shown);
    return { ...image, infotext: after.infotext, pixels: after.pixels === pixels ? image.pixels : after.pixels };
  }

  /** The sheet's pixels as extensions want them. */
  grid(sheet: Omit<Payloads['image_grid'], 'runId'>): Uint8Array {
    if (this.#registry?.has('image_grid') !== true) return sheet.pixels;
    return this.#registry.call('image_grid', { ...sheet, runId: this.#runId }).pixels;
  }

  saved(index: number, path: string | undefined, sha256: string): void {
    this.#registry?.call('image_saved', { runId: this.#runId, index, path, sha256 });
  }
}
