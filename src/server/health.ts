import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { VERSION } from '../context/version.js';
import type { Services } from './services.js';

const health = z.object({
  status: z.enum(['ok', 'ending']),
  version: z.string(),
  jobs: z.number(),
  fakeInference: z.boolean(),
});

/** GET /healthz and /metrics. */
export function addHealth(app: FastifyInstance, services: Services): void {
  const { metrics, queue, settings } = services;
  app.get('/healthz', { schema: { tags: ['server'], response: { 200: health, 503: health } } }, async (_, reply) => {
    const status = services.isOpen ? 'ok' : 'ending';
    const facts = { status, version: VERSION, jobs: queue.size, fakeInference: settings.fakeInference } as const;
    return reply.code(services.isOpen ? 200 : 503).send(facts);
  });
  app.get('/metrics', { schema: { hide: true } }, async (_, reply) =>
    reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
  );
}
