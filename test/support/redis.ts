import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe } from 'vitest';

const isThere = spawnSync('redis-server', ['--version']).status === 0;
if (!isThere && process.env.CI) {
  throw new Error('redis-server is missing, and CI does not skip what needs it: install it by apt');
}

/** Tests that need a Redis: without one they say so and are skipped, but not in CI. */
export const describeWithRedis = isThere
  ? describe
  : (name: string, tests: () => void) => describe.skip(`${name} (skipped: redis-server is not installed)`, tests);

/**
 * Below the ports that systems give to whoever asks for any: while a killed Redis is away, nobody's connection or server
 * (not even a client that tries to reach it) can be given its port by chance.
 */
async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_000);
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

export interface RedisOptions {
  /** Keeps an append-only file, so that a killed one comes back with everything. */
  readonly durable?: boolean;
  readonly password?: string;
  /** Files of a certificate: the port then speaks TLS alone. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca: string };
  readonly more?: readonly string[];
}

/** A Redis of one's own on a free port. */
export class TestRedis {
  #process: ChildProcess | undefined;

  private constructor(
    readonly port: number,
    readonly folder: string,
    readonly options: RedisOptions,
  ) {}

  static async start(options: RedisOptions = {}): Promise<TestRedis> {
    const redis = new TestRedis(await freePort(), await mkdtemp(join(tmpdir(), 'sdgen-redis-')), options);
    await redis.begin();
    return redis;
  }

  get url(): string {
    const { tls, password } = this.options;
    const user = password === undefined ? '' : `:${password}@`;
    return `${tls === undefined ? 'redis' : 'rediss'}://${user}${tls === undefined ? '127.0.0.1' : 'localhost'}:${this.port}`;
  }

  /** Starts it again after `kill`. */
  async begin(): Promise<void> {
    const { durable = false, password, tls, more = [] } = this.options;
    const ports =
      tls === undefined
        ? ['--port', String(this.port)]
        : [
            ...['--port', '0', '--tls-port', String(this.port), '--tls-cert-file', tls.cert, '--tls-key-file', tls.key],
            ...['--tls-ca-cert-file', tls.ca, '--tls-auth-clients', 'no'],
          ];
    const arguments_ = [
      ...['--bind', '127.0.0.1', '--dir', this.folder, '--save', '', '--appendonly', durable ? 'yes' : 'no'],
      ...ports,
      ...(password === undefined ? [] : ['--requirepass', password]),
      ...more,
    ];
    const child = spawn('redis-server', arguments_, { stdio: 'ignore' });
    this.#process = child;
    for (let i = 0; i < 500; i += 1) {
      // Another's answer on the same port would not be this one's.
      if (child.exitCode !== null) throw new Error(`redis-server ended with ${child.exitCode} on port ${this.port}`);
      if (await answers(this.port)) return;
      await sleep(20);
    }
    throw new Error('redis-server does not answer');
  }

  /** As a power cut would end it. */
  async kill(): Promise<void> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  async stop(): Promise<void> {
    await this.kill();
    await rm(this.folder, { recursive: true, force: true });
  }
}
