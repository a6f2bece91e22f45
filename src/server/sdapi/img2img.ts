import type { FastifyInstance } from 'fastify';
import type { Services } from '../services.js';
import { generationResponse, img2imgBody } from './bodies.js';
import { startGeneration } from './generation.js';

/** POST img2img: as txt2img, from pictures. */
export function addImg2img(app: FastifyInstance, services: Services): void {
  const schema = { tags: ['generation'], body: img2imgBody, response: { 200: generationResponse } };
  app.post('/sdapi/v1/img2img', { schema }, async (request) => {
    const { response } = await startGeneration(services, 'img2img', request.body, false);
    return response;
  });
}
