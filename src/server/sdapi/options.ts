import { basename } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { EMBEDDED_MODEL } from '../../checkpoints/embedded.js';
import { openModel } from '../../runtime/open-model.js';
import { readAs } from '../coerce.js';
import { checkpointOf, commandOptionsFor, type Services, vaeOf } from '../services.js';

const optionsBody = z.record(z.string(), z.unknown());

/** Loads the checkpoint that options name, so that the next request finds it there. */
export async function loadCheckpoint(
  services: Services,
  overrides: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  const commandOptions = await commandOptionsFor(services, services.options.view(overrides));
  const { model } = await openModel(commandOptions, services.provider);
  try {
    services.models.remember(model.path, model.sha256);
    await model.load();
  } finally {
    model.release?.();
  }
}

/** GET and POST options, GET cmd-flags. */
export function addOptions(app: FastifyInstance, services: Services): void {
  const { options, models, settings } = services;
  const answer = { 200: optionsBody };
  app.get('/sdapi/v1/options', { schema: { tags: ['options'], response: answer } }, async () => {
    const { values } = options;
    // Which model answers, named or not: clients show it.
    const named = values.sd_model_checkpoint ?? settings.commandOptions.model ?? basename(EMBEDDED_MODEL);
    const checkpoint = typeof named === 'string' ? await models.find(named) : undefined;
    return { ...values, sd_model_checkpoint: checkpoint?.title ?? null, sd_checkpoint_hash: checkpoint?.sha256 ?? '' };
  });
  app.post(
    '/sdapi/v1/options',
    { schema: { tags: ['options'], body: optionsBody, response: { 200: z.unknown() } } },
    async (request, reply) => {
      const changes = readAs(optionsBody, request.body ?? {}, 'body');
      const read = options.check(changes);
      const { sd_model_checkpoint: name } = read;
      await vaeOf(services, read.sd_vae);
      // As the webui: the answer comes when the checkpoint is there. Where it cannot be, nothing changes.
      if (typeof name === 'string' && name !== '') {
        await checkpointOf(services, name);
        await loadCheckpoint(services, changes);
      }
      options.set(changes);
      return reply.type('application/json').send('null');
    },
  );
  app.get('/sdapi/v1/cmd-flags', { schema: { tags: ['options'], response: answer } }, async () => settings.flags);
}
