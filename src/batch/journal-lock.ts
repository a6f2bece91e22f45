import { createHash } from 'node:crypto';
import { realpath } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { FailureError } from '../request/errors.js';

/**
 * Keeps a second process of this machine from a journal: a socket in Linux's abstract name space, which the kernel takes
 * back when its process ends, however it ends. A lock file would outlive a killed process.
 */
export class JournalLock {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** @throws FailureError E_BUSY where another process, or another batch of this one, has the journal */
  static async take(path: string): Promise<JournalLock> {
    const place = join(await realpath(dirname(path)), basename(path));
    const name = `\0sdgen-batch-${createHash('sha256').update(place).digest('hex')}`;
    const server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(name, resolve);
    }).catch((cause: unknown) => {
      throw new FailureError('E_BUSY', `another process works with the journal ${path}`, { cause });
    });
    server.unref();
    return new JournalLock(server);
  }

  release(): Promise<void> {
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}
