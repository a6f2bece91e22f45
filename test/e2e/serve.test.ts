import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { copyFile, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CliSandbox } from '../support/cli.js';
import { ROOT } from '../support/project.js';
import { tinyModelPath } from '../support/tiny-model.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sdgen-serve-'));
  await mkdir(join(folder, 'models'));
  await copyFile(await tinyModelPath(), join(folder, 'models', 'micro1.safetensors'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

class Server {
  out = '';
  err = '';
  readonly ended: Promise<unknown[]>;

  private constructor(readonly child: ChildProcessWithoutNullStreams) {
    child.stdout.on('data', (data) => {
      this.out += data;
    });
    child.stderr.on('data', (data) => {
      this.err += data;
    });
    this.ended = once(child, 'exit');
  }

  static async start(...flags: string[]): Promise<Server> {
    const all = ['serve', '-m', 'micro1', '--device', 'reference', '--port', '0', '--json', ...flags];
    const env = { ...process.env, HOME: folder, NODE_V8_COVERAGE: undefined };
    const server = new Server(spawn(process.execPath, [join(ROOT, 'bin/sdgen.mjs'), ...all], { cwd: folder, env }));
    await expect.poll(() => server.out, { timeout: 20_000 }).toMatch(/\n$/);
    return server;
  }

  get url(): string {
    return JSON.parse(this.out).url;
  }

  /** Waits until a job computes. */
  async works(): Promise<void> {
    const progress = async (): Promise<number> => {
      const facts = (await (await fetch(`${this.url}/sdapi/v1/progress`)).json()) as { progress: number };
      return facts.progress;
    };
    await expect.poll(progress, { timeout: 20_000 }).toBeGreaterThan(0);
  }

  post(body: object) {
    const headers = { 'content-type': 'application/json' };
    return fetch(`${this.url}/sdapi/v1/txt2img`, { method: 'POST', headers, body: JSON.stringify(body) });
  }
}

const SMALL = { prompt: 'a fox', steps: 2, width: 64, height: 64, seed: 7 };

describe('sdgen serve', () => {
  it('prints one line when ready, logs with request ids, finishes what runs on SIGTERM and exits 0', async () => {
    const server = await Server.start();
    expect(server.out).toMatch(/^\{"url":"http:\/\/127\.0\.0\.1:\d+"\}\n$/);
    expect((await server.post({ ...SMALL, save_images: true })).status).toBe(200);
    expect(await readdir(join(folder, 'outputs'))).toEqual(['txt2img-images']);
    const running = server.post({ ...SMALL, steps: 150, n_iter: 2 });
    await server.works();
    server.child.kill('SIGTERM');
    expect((await running).status).toBe(200);
    expect(await server.ended).toEqual([0, null]);
    const lines = server.err
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.some(({ reqId, res }) => reqId !== undefined && res?.statusCode === 200)).toBe(true);
    expect(server.out.split('\n')).toHaveLength(2);
  });

  it('cancels what runs when the grace is over, or at a second signal', async () => {
    const long = { ...SMALL, steps: 150, n_iter: 60 };
    for (const [grace, signals] of [
      ['0.2', 1],
      ['600', 2],
    ] as const) {
      const server = await Server.start('--grace', grace, '-q');
      const running = server.post(long);
      await server.works();
      for (let i = 0; i < signals; i += 1) {
        server.child.kill('SIGTERM');
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      expect((await running).status).toBe(409);
      expect(await server.ended).toEqual([0, null]);
      expect(server.err).toBe('');
    }
  });
});

describe('sdgen serve, in this process', () => {
  it('says what is wrong with its flags', async () => {
    const box = await CliSandbox.create();
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as AddressInfo;
    const cases: [string[], number, RegExp][] = [
      [['--port', String(port)], 1, /port \d+ of 127\.0\.0\.1 is in use: give another --port/],
      [['--port', '70000'], 2, /--port must be a whole number from 0 to 65535; 70000 is not/],
      [['--api-auth', 'me'], 2, /--api-auth must be user:password/],
      [['--keep-models', '0'], 2, /--keep-models must be a whole number from 1/],
      [['--host', '203.0.113.9', '--port', '0'], 2, /--host 203\.0\.113\.9 is no address of this machine/],
    ];
    try {
      for (const [flags, code, message] of cases) {
        const outcome = await box.run(['serve', ...flags]);
        expect([outcome.code, outcome.out]).toEqual([code, '']);
        expect(outcome.err).toMatch(message);
      }
    } finally {
      taken.close();
      await box.remove();
    }
  });

  it('serves until it is told to end, and warns of an open door', async () => {
    const box = await CliSandbox.create();
    try {
      for (const [flags, warning] of [
        [['--host', '0.0.0.0', '--fake-inference'], /everybody who reaches .* plain colours/s],
        [['--host', '0.0.0.0', '--api-auth', 'me:secret'], /^$/],
      ] as const) {
        const signals = new EventEmitter();
        const run = box.run(['serve', '--port', '0', '-q', ...flags], { signals });
        await expect.poll(() => signals.listenerCount('SIGTERM'), { timeout: 10_000 }).toBe(1);
        signals.emit('SIGTERM');
        const { code, out, err } = await run;
        expect(code).toBe(0);
        expect(err).toMatch(warning);
        expect(out).toMatch(/^sdgen listens at http:\/\/0\.0\.0\.0:\d+ /);
      }
    } finally {
      await box.remove();
    }
  });
});
