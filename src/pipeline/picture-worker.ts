/** A thread that works on pictures: see `picture-thread.ts`, which starts it. */
import { parentPort } from 'node:worker_threads';
import { FailureError, UsageError } from '../request/errors.js';
import { PICTURE_TASKS, type TaskFailure, type TaskMessage, type TaskReply } from './picture-tasks.js';

/** The buffers that a value owns wholly: they are handed over instead of copied. */
function buffersOf(value: unknown, found = new Set<ArrayBuffer>()): Set<ArrayBuffer> {
  if (ArrayBuffer.isView(value)) {
    const { buffer, byteLength } = value;
    if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) found.add(buffer);
  } else if (typeof value === 'object' && value !== null) {
    for (const one of Object.values(value)) buffersOf(one, found);
  }
  return found;
}

function errorOf(error: unknown): TaskFailure {
  if (error instanceof UsageError) return { kind: 'usage', message: error.message, field: error.field };
  if (error instanceof FailureError) return { kind: 'failure', message: error.message, code: error.code };
  return { kind: 'defect', message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}

/** Tasks that wait and are not wanted any more. */
const cancelled = new Set<number>();

async function perform({ id, task, input }: Exclude<TaskMessage, { cancelled: number }>): Promise<void> {
  let reply: TaskReply = { id };
  try {
    if (!cancelled.delete(id)) reply = { id, output: await PICTURE_TASKS[task](input as never) };
  } catch (error) {
    reply = { id, error: errorOf(error) };
  }
  parentPort?.postMessage(reply, [...buffersOf(reply.output)]);
  cancelled.delete(id);
}

// One after the other: two large pictures at once would need twice the memory.
let last = Promise.resolve();
parentPort?.on('message', (message: TaskMessage) => {
  if ('cancelled' in message) cancelled.add(message.cancelled);
  else last = last.then(() => perform(message));
});
