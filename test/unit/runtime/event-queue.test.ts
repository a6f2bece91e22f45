import { describe, expect, it } from 'vitest';
import { EventQueue } from '../../../src/runtime/event-queue.js';

async function readAll<T>(queue: EventQueue<T>): Promise<T[]> {
  const events: T[] = [];
  for await (const event of queue.read()) events.push(event);
  return events;
}

describe('EventQueue', () => {
  it('gives all events in order, those before the end too', async () => {
    const queue = new EventQueue<number>();
    queue.push(0);
    const reading = readAll(queue);
    await Promise.resolve();
    queue.push(1);
    queue.push(2);
    queue.end();
    expect(await reading).toEqual([0, 1, 2]);
  });

  it('merges an event with the newest that nobody took', async () => {
    const queue = new EventQueue<number>();
    const sum = (added: number) => queue.push(added, (newest) => (newest < 10 ? newest + added : undefined));
    for (const value of [4, 5, 6, 7]) sum(value);
    queue.end();
    expect(await readAll(queue)).toEqual([15, 7]);
  });

  it('gives the error after what came before it', async () => {
    const queue = new EventQueue<number>();
    queue.push(1);
    queue.fail(new RangeError('over'));
    const reader = queue.read();
    expect(await reader.next()).toEqual({ value: 1, done: false });
    await expect(reader.next()).rejects.toThrow(new RangeError('over'));
  });
});
