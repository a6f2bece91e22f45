import type { AddressInfo } from 'node:net';
import { type App, type AppParts, createApp } from './app.js';

export interface Listening {
  /** "http://127.0.0.1:7860". */
  readonly url: string;
  readonly app: App;
  /**
   * Takes no new work, cancels what waits, lets what computes (here or in a fleet) finish within `graceSeconds` (then it is cancelled too),
   * answers, and closes. Called again, it does not wait any longer.
   */
  close(graceSeconds: number): Promise<void>;
}

function urlOf({ address, port, family }: AddressInfo): string {
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}

class Closing {
  readonly #app: App;
  #closed: Promise<void> | undefined;
  #hurry: () => void = () => undefined;

  constructor(app: App) {
    this.#app = app;
  }

  close = (graceSeconds: number): Promise<void> => {
    if (this.#closed !== undefined) this.#hurry();
    this.#closed ??= this.#end(graceSeconds);
    return this.#closed;
  };

  async #end(graceSeconds: number): Promise<void> {
    const { http, services } = this.#app;
    services.isOpen = false;
    const [next] = services.jobs.open;
    const last = services.jobs.active ?? next;
    for (const job of services.jobs.open) if (job !== last && job.state !== 'running') job.cancel();
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => {
      this.#hurry = resolve;
      timer = setTimeout(resolve, graceSeconds * 1000);
    });
    await Promise.race([services.jobs.drain(), patience]);
    clearTimeout(timer);
    for (const job of services.jobs.open) job.cancel();
    await services.jobs.drain();
    await http.close();
    await services.provider.dispose();
  }
}

/**
 * A server that listens.
 * @param port 0: one that is free
 * @throws the system's error when the port cannot be had
 */
export async function startServer(parts: AppParts, host: string, port: number): Promise<Listening> {
  const app = await createApp(parts);
  try {
    await app.http.listen({ host, port });
  } catch (error) {
    await app.http.close();
    throw error;
  }
  const address = app.http.server.address();
  if (address === null || typeof address === 'string') throw new Error('the server listens to no port');
  return { url: urlOf(address), app, close: new Closing(app).close };
}
