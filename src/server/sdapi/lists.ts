import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { LATENT_UPSCALER_NAMES, PIXEL_UPSCALER_NAMES } from '../../request/upscalers.js';
import { SAMPLERS, type SamplerInfo } from '../../sampling/samplers.js';
import { DEFAULT_RHO } from '../../sampling/schedule-formulas.js';
import { SCHEDULERS } from '../../sampling/schedules.js';

const sampler = z.object({ name: z.string(), aliases: z.array(z.string()), options: z.record(z.string(), z.string()) });
const scheduler = z.object({
  name: z.string(),
  label: z.string(),
  aliases: z.array(z.string()).nullable(),
  default_rho: z.number(),
  need_inner_model: z.boolean(),
});
const upscaler = z.object({
  name: z.string(),
  model_name: z.string().nullable(),
  model_path: z.string().nullable(),
  model_url: z.null(),
  scale: z.number().nullable(),
});
const list = (item: z.ZodType) => ({ tags: ['lists'], response: { 200: z.array(item) } });

/** Traits of a sampler in the webui's words, values as Python prints them. */
function samplerOptions({
  automatic,
  secondOrder,
  discardPenultimate,
  usesEnsd,
  brownian,
}: SamplerInfo): Record<string, string> {
  return {
    ...(automatic === undefined || automatic === 'uniform' ? {} : { scheduler: automatic }),
    ...(discardPenultimate ? { discard_next_to_last_sigma: 'True' } : {}),
    ...(usesEnsd ? { uses_ensd: 'True' } : {}),
    ...(secondOrder ? { second_order: 'True' } : {}),
    ...(brownian ? { brownian_noise: 'True' } : {}),
  };
}

/** Schedules that the webui computes from the model's own sigmas. */
const NEEDS_MODEL = new Set(['uniform', 'sgm_uniform', 'simple', 'normal', 'ddim', 'beta', 'turbo']);

/** What there is to choose from. */
export function addLists(app: FastifyInstance): void {
  app.get('/sdapi/v1/samplers', { schema: list(sampler) }, async () =>
    SAMPLERS.map((info) => ({ name: info.name, aliases: info.aliases, options: samplerOptions(info) })),
  );
  app.get('/sdapi/v1/schedulers', { schema: list(scheduler) }, async () =>
    SCHEDULERS.map(({ name, label, aliases }) => ({
      name,
      label,
      aliases: aliases.length === 0 ? null : aliases,
      default_rho: DEFAULT_RHO[name] ?? -1,
      need_inner_model: NEEDS_MODEL.has(name),
    })),
  );
  app.get('/sdapi/v1/upscalers', { schema: list(upscaler) }, async () =>
    PIXEL_UPSCALER_NAMES.map((name) => ({ name, model_name: null, model_path: null, model_url: null, scale: 4 })),
  );
  app.get('/sdapi/v1/latent-upscale-modes', { schema: list(z.object({ name: z.string() })) }, async () =>
    LATENT_UPSCALER_NAMES.map((name) => ({ name })),
  );
}
