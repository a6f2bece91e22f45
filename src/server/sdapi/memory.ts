import { freemem, totalmem } from 'node:os';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { DeviceMemory } from '../../native/types.js';
import { resolveDevice } from '../../runtime/device.js';
import { availableMemory } from '../../runtime/memory.js';
import type { Services } from '../services.js';

const bytes = z.object({ free: z.number(), used: z.number(), total: z.number() });
const cuda = z.union([z.object({ system: bytes }), z.object({ error: z.string() })]);
const response = z.object({ ram: bytes, cuda });

/** The card that the server computes on; where it does not compute on one, the first. */
async function cardOf({ settings, provider }: Services): Promise<DeviceMemory | undefined> {
  const cards = (await provider.deviceMemory?.()) ?? [];
  if (cards.length < 2) return cards[0];
  const { name } = resolveDevice(settings.commandOptions, await provider.capabilities());
  return cards.find((card) => card.name === name) ?? cards[0];
}

/** As the webui tells of a card, and in its words where there is none, or none that answers. */
async function cudaMemory(services: Services): Promise<z.input<typeof cuda>> {
  try {
    const card = await cardOf(services);
    if (card === undefined) return { error: 'unavailable' };
    const { freeBytes: free, totalBytes: total } = card;
    return { system: { free, used: total - free, total } };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

/** GET memory: bytes of this process, and what it may still have; of the card, all that anybody uses. */
export function addMemory(app: FastifyInstance, services: Services): void {
  app.get('/sdapi/v1/memory', { schema: { tags: ['server'], response: { 200: response } } }, async () => {
    const used = process.memoryUsage.rss();
    const free = (await availableMemory()) ?? freemem();
    const ram = { free, used, total: Math.min(totalmem(), free + used) };
    return { ram, cuda: await cudaMemory(services) };
  });
}
