import type { FastifyInstance } from 'fastify';
import type { Services } from '../services.js';
import { generationResponse, txt2imgBody } from './bodies.js';
import { startGeneration } from './generation.js';

/** POST txt2img: answers when the pictures are made. A client that goes away does not end the job; interrupt does. */
export function addTxt2img(app: FastifyInstance, services: Services): void {
  const schema = { tags: ['generation'], body: txt2imgBody, response: { 200: generationResponse } };
  app.post('/sdapi/v1/txt2img', { schema }, async (request) => {
    const { response } = await startGeneration(services, 'txt2img', request.body, false);
    return response;
  });
}
