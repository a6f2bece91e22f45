import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import { jsonSchemaTransform } from 'fastify-type-provider-zod';
import { VERSION } from '../context/version.js';

/** The document made from the routes' schemas at `/openapi.json`, and its page at `/docs`. Add it before the routes. */
export async function addOpenApi(app: FastifyInstance, hasAuth: boolean): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'sdgen',
        description: "Pictures from text: AUTOMATIC1111's /sdapi/v1 and jobs of our own under /v1",
        version: VERSION,
      },
      ...(hasAuth
        ? { components: { securitySchemes: { basic: { type: 'http', scheme: 'basic' } } }, security: [{ basic: [] }] }
        : {}),
    },
    transform: jsonSchemaTransform,
  });
  await app.register(swaggerUi, { routePrefix: '/docs' });
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger());
}
