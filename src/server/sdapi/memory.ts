import { freemem, totalmem } from 'node:os';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { availableMemory } from '../../runtime/memory.js';

const bytes = z.object({ free: z.number(), used: z.number(), total: z.number() });
const response = z.object({ ram: bytes, cuda: z.record(z.string(), z.unknown()) });

/** GET memory: bytes of this process, and what it may still have. */
export function addMemory(app: FastifyInstance): void {
  app.get('/sdapi/v1/memory', { schema: { tags: ['server'], response: { 200: response } } }, async () => {
    const used = process.memoryUsage.rss();
    const free = (await availableMemory()) ?? freemem();
    return { ram: { free, used, total: Math.min(totalmem(), free + used) }, cuda: { error: 'unavailable' } };
  });
}
