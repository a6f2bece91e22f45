import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { loadStyleList } from '../../runtime/styles.js';
import type { Services } from '../services.js';
import { loadCheckpoint } from './options.js';

const model = z.object({
  title: z.string(),
  model_name: z.string(),
  hash: z.string().nullable(),
  sha256: z.string().nullable(),
  filename: z.string(),
  config: z.null(),
});
const vae = z.object({ model_name: z.string(), filename: z.string() });
const style = z.object({ name: z.string(), prompt: z.string(), negative_prompt: z.string() });
const list = (item: z.ZodType) => ({ tags: ['models'], response: { 200: z.array(item) } });
const path = z.object({ name: z.string(), path: z.string() });

/** Lists of what is not built: always empty. */
const EMPTY = [
  ['loras', path],
  ['hypernetworks', path],
  ['face-restorers', z.object({ name: z.string(), cmd_dir: z.string() })],
  ['realesrgan-models', z.object({ name: z.string(), path: z.string(), scale: z.number() })],
] as const;
/** Lists are read anew each time, so that there is nothing to refresh. */
const REFRESH = ['checkpoints', 'vae', 'embeddings', 'loras'] as const;

/** Checkpoints and what goes with them. */
export function addModels(app: FastifyInstance, services: Services): void {
  const { models, provider, settings } = services;
  app.get('/sdapi/v1/sd-models', { schema: list(model) }, () => models.entries());
  app.get('/sdapi/v1/sd-vae', { schema: list(vae) }, () => models.vaes());
  app.get('/sdapi/v1/prompt-styles', { schema: list(style) }, async () => {
    const styles = await loadStyleList(settings.commandOptions);
    return [...styles].map(([name, { prompt, negativePrompt }]) => ({ name, prompt, negative_prompt: negativePrompt }));
  });
  for (const [name, item] of EMPTY) app.get(`/sdapi/v1/${name}`, { schema: list(item) }, async () => []);
  const embeddings = z.record(z.string(), z.unknown());
  app.get(
    '/sdapi/v1/embeddings',
    { schema: { tags: ['models'], response: { 200: z.object({ loaded: embeddings, skipped: embeddings }) } } },
    async () => ({ loaded: {}, skipped: {} }),
  );
  const action = { tags: ['models'], response: { 200: z.unknown() } };
  for (const name of REFRESH) {
    app.post(`/sdapi/v1/refresh-${name}`, { schema: action }, async (_, reply) =>
      reply.type('application/json').send('null'),
    );
  }
  app.post('/sdapi/v1/unload-checkpoint', { schema: action }, async () => {
    await provider.unload?.();
    return {};
  });
  app.post('/sdapi/v1/reload-checkpoint', { schema: action }, async () => {
    await loadCheckpoint(services);
    return {};
  });
}
