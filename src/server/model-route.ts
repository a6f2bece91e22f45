import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { modelDefaults } from '../checkpoints/defaults.js';
import { parseTextToImage } from '../request/txt2img.js';
import { openModel } from '../runtime/open-model.js';
import { findSampler } from '../sampling/samplers.js';
import { findScheduler } from '../sampling/schedules.js';
import { commandOptionsFor, type Services } from './services.js';

const model = z.object({
  name: z.string(),
  sha256: z.string(),
  family: z.string(),
  device: z.string(),
  precision: z.string(),
  defaults: z.object({
    steps: z.number(),
    sampler_name: z.string(),
    scheduler: z.string(),
    cfg_scale: z.number(),
    width: z.number(),
    height: z.number(),
  }),
});

/**
 * GET /v1/model: what the next request without overrides is made by, and the settings to ask it for: those that its file
 * states for itself, else those of the command line.
 */
export function addModelRoute(app: FastifyInstance, services: Services): void {
  app.get('/v1/model', { schema: { tags: ['server'], response: { 200: model } } }, async () => {
    const commandOptions = await commandOptionsFor(services, services.options.view({}));
    const { model: opened, device } = await openModel(commandOptions, services.provider);
    try {
      const { metadata, noise, family } = opened.description;
      const own = modelDefaults(metadata, opened.path, noise.trailingTimesteps);
      const { steps, sampler, scheduler, cfgScale, width, height } = parseTextToImage({ prompt: '', ...own });
      const names = { sampler_name: findSampler(sampler).name, scheduler: findScheduler(scheduler).label };
      const defaults = { steps, ...names, cfg_scale: cfgScale, width, height };
      const { name, sha256 } = opened;
      return { name, sha256, family, device: device.name, precision: device.precision, defaults };
    } finally {
      opened.release?.();
    }
  });
}
