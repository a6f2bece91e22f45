import { Worker } from 'node:worker_threads';
import { FailureError, UsageError } from '../request/errors.js';
import type { PictureTask, TaskFailure, TaskInput, TaskMessage, TaskOutput, TaskReply } from './picture-tasks.js';

/** The compiled thread: two up from src/pipeline as from dist/pipeline. */
const ENTRY = new URL('../../dist/pipeline/picture-worker.js', import.meta.url);

/** How long a thread without work is kept. */
const IDLE_MS = 10_000;

interface Waiting {
  readonly resolve: (output: never) => void;
  readonly reject: (error: unknown) => void;
}

function errorFrom({ kind, message, code, field }: TaskFailure): Error {
  if (kind === 'usage') return new UsageError(message, field);
  if (kind === 'failure') return new FailureError(code ?? 'E_INTERNAL', message);
  return new Error(message);
}

/** The thread itself has ended, or its answer cannot be read. */
function brokenFrom(cause: Error & { readonly code?: string }): Error {
  if (cause.code !== 'ERR_WORKER_OUT_OF_MEMORY') return cause;
  return new FailureError('E_OUT_OF_MEMORY', 'there was too little memory to prepare a picture', { cause });
}

/** A thread for `PICTURE_TASKS`: begun with the first task, ended when there is none for a while. */
export class PictureThread {
  readonly #entry: URL;
  readonly #idleMs: number;
  #worker: Worker | undefined;
  #waiting = new Map<number, Waiting>();
  #count = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(entry = ENTRY, idleMs = IDLE_MS) {
    this.#entry = entry;
    this.#idleMs = idleMs;
  }

  /** Whether a thread is kept. */
  get isRunning(): boolean {
    return this.#worker !== undefined;
  }

  /**
   * A task's output. What is given is copied, what comes back is handed over. A task that has begun goes on when `signal`
   * aborts; nobody waits for it then.
   * @throws what the task throws: UsageError, FailureError; the signal's reason
   */
  run<K extends PictureTask>(task: K, input: TaskInput<K>, signal?: AbortSignal): Promise<TaskOutput<K>> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      clearTimeout(this.#timer);
      this.#worker ??= this.#begin();
      const worker = this.#worker;
      this.#count += 1;
      const id = this.#count;
      const send = (message: TaskMessage): void => worker.postMessage(message);
      const onAbort = (): void => {
        send({ cancelled: id });
        reject(signal?.reason);
      };
      const leave = (): void => signal?.removeEventListener('abort', onAbort);
      send({ id, task, input });
      worker.ref();
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting.set(id, {
        resolve: (output) => {
          leave();
          resolve(output);
        },
        reject: (error) => {
          leave();
          reject(error);
        },
      });
    });
  }

  #begin(): Worker {
    const worker = new Worker(this.#entry, { execArgv: [] });
    worker.on('message', (reply: TaskReply) => {
      const waiting = this.#waiting.get(reply.id);
      this.#waiting.delete(reply.id);
      if (reply.error === undefined) waiting?.resolve(reply.output as never);
      else waiting?.reject(errorFrom(reply.error));
      if (this.#waiting.size === 0) this.#rest(worker);
    });
    worker.on('messageerror', (error) => this.#break(worker, error));
    worker.on('error', (error) => this.#break(worker, error));
    worker.on('exit', (code) => this.#break(worker, new Error(`the thread for pictures ended (exit ${code})`)));
    return worker;
  }

  /** Nothing waits: the process may end, and the thread does after a while. */
  #rest(worker: Worker): void {
    worker.unref();
    this.#timer = setTimeout(() => {
      if (this.#worker === worker) this.#worker = undefined;
      void worker.terminate();
    }, this.#idleMs).unref();
  }

  #break(worker: Worker, error: Error): void {
    if (this.#worker !== worker) return; // it was let go, or another has taken its place
    this.#worker = undefined;
    clearTimeout(this.#timer);
    const waiting = [...this.#waiting.values()];
    this.#waiting = new Map();
    for (const { reject } of waiting) reject(brokenFrom(error));
    void worker.terminate();
  }
}

/** The process's own, as the pool of the engine is: it holds nothing of any run. */
export const pictureThread = new PictureThread();
