import type { Latent } from '../native/types.js';
import type { HookName, Payloads, Replies } from './hooks.js';

/** What a hook gave back cannot be used; the message says why. */
class ReplyError extends TypeError {}

type Fold<K extends HookName> = (payload: Payloads[K], reply: Replies[K]) => Payloads[K];

const nothing = (): never => {
  throw new ReplyError('this hook may not give anything back');
};

function fields(reply: unknown): Record<string, unknown> {
  if (typeof reply === 'object' && reply !== null && !Array.isArray(reply)) return { ...reply };
  throw new ReplyError('an object of fields is expected back');
}

function replaced(latent: Latent, data: unknown): Latent {
  if (!(data instanceof Float32Array) || data.length !== latent.data.length) {
    throw new ReplyError(`a Float32Array of ${latent.data.length} numbers is expected back`);
  }
  return { ...latent, data };
}

function pixelsOf<T extends { readonly pixels: Uint8Array }>(payload: T, pixels: unknown): T {
  if (pixels === undefined) return payload;
  if (!(pixels instanceof Uint8Array) || pixels.length !== payload.pixels.length) {
    throw new ReplyError(`pixels must be a Uint8Array of ${payload.pixels.length} bytes`);
  }
  return { ...payload, pixels };
}

const latent = <P extends { readonly latent: Latent }>(payload: P, reply: Float32Array): P => ({
  ...payload,
  latent: replaced(payload.latent, reply),
});

/** How each hook's answer changes what the next extension, and then the run, is given. */
export const FOLDS: { readonly [K in HookName]: Fold<K> } = {
  app_started: nothing,
  model_loaded: nothing,
  after_process: nothing,
  image_saved: nothing,
  before_process: (payload, reply) => ({ ...payload, request: { ...payload.request, ...fields(reply) } }),
  extra_noise: latent,
  cfg_denoiser: latent,
  after_cfg: latent,
  cfg_denoised: (payload, reply) => {
    const { conds, uncond } = fields(reply);
    if (conds !== undefined && (!Array.isArray(conds) || conds.length !== payload.conds.length)) {
      throw new ReplyError(`conds must be a list of ${payload.conds.length}`);
    }
    if (uncond !== undefined && payload.uncond === undefined) throw new ReplyError('there is no unconditional branch');
    return {
      ...payload,
      conds: payload.conds.map((cond, i) => (conds?.[i] === undefined ? cond : replaced(cond, conds[i]))),
      uncond: payload.uncond && uncond !== undefined ? replaced(payload.uncond, uncond) : payload.uncond,
    };
  },
  before_image_saved: (payload, reply) => {
    const { pixels, infotext } = fields(reply);
    if (infotext !== undefined && typeof infotext !== 'string') throw new ReplyError('infotext must be text');
    return { ...pixelsOf(payload, pixels), ...(infotext === undefined ? {} : { infotext }) };
  },
  image_grid: (payload, reply) => pixelsOf(payload, fields(reply).pixels),
  infotext_pasted: (payload, reply) => {
    const parameters: Record<string, string> = {};
    for (const [key, value] of Object.entries(fields(reply))) {
      if (typeof value !== 'string') throw new ReplyError(`the parameter ${JSON.stringify(key)} must be text`);
      parameters[key] = value;
    }
    return { ...payload, parameters };
  },
};
