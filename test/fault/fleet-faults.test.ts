import { execFileSync } from 'node:child_process';
import { copyFile, readdir, readFile, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import type { FleetStatus } from '../../src/fleet/status.js';
import { CliSandbox } from '../support/cli.js';
import { type Child, SMALL, startChild, startWorker } from '../support/fleet.js';
import { ROOT } from '../support/project.js';
import { describeWithRedis, TestRedis } from '../support/redis.js';
import { tinyModelPath } from '../support/tiny-model.js';

// Leases run out and processes start; a busy machine takes its time for both.
vi.setConfig({ testTimeout: 150_000 });

/** A CA and a certificate for localhost, of today: a committed one would end some day. */
function makeCertificates(sandbox: CliSandbox) {
  const openssl = (...argv: string[]) => execFileSync('openssl', argv, { cwd: sandbox.folder, stdio: 'pipe' });
  const key = ['-newkey', 'rsa:2048', '-nodes', '-days', '2'];
  openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=ca of a test');
  openssl('req', ...key.slice(0, 3), '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=localhost');
  const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'names'];
  execFileSync('sh', ['-c', 'echo subjectAltName=DNS:localhost > names'], { cwd: sandbox.folder });
  openssl('x509', '-req', '-in', 'server.csr', '-out', 'server.pem', ...signed);
  return { ca: sandbox.path('ca.pem'), cert: sandbox.path('server.pem'), key: sandbox.path('server.key') };
}

describeWithRedis('a fleet under adverse conditions', () => {
  let redis: TestRedis;
  let sandbox: CliSandbox;
  const open = new Set<Child>();
  beforeAll(async () => {
    redis = await TestRedis.start();
  });
  afterAll(() => redis.stop());
  beforeEach(async () => {
    sandbox = await CliSandbox.create();
    await copyFile(await tinyModelPath(), sandbox.path('models', 'micro1.safetensors'));
    await writeFile(sandbox.path('lines.jsonl'), '{"prompt": "a fox", "seed": 1, "count": 8}\n');
    const client = new Redis(redis.url);
    await client.flushall();
    client.disconnect();
  });
  afterEach(async () => {
    for (const child of open) child.signal('SIGKILL');
    await Promise.all([...open].map((child) => child.ended));
    await sandbox.remove();
  });

  const child = (argv: readonly string[], env: Record<string, string> = {}): Child => {
    const started = startChild(sandbox.folder, argv, env);
    open.add(started);
    void started.ended.then(() => open.delete(started));
    return started;
  };
  const workerArguments = (...more: string[]): string[] => [
    ...['worker', '--queue', redis.url, '--device', 'cpu', '--threads', '1', '--lease', '2', ...more],
  ];
  const batch = (...more: string[]) => sandbox.run(['batch', 'lines.jsonl', ...SMALL, '-o', 'out', ...more]);
  const status = async (): Promise<FleetStatus> =>
    JSON.parse((await sandbox.run(['fleet', '--queue', redis.url, '--json'])).out);
  const count = async (): Promise<number> =>
    (await readdir(sandbox.path('out'))).filter((name) => name.endsWith('.png')).length;

  it('gives the plan of a worker that stands still to another, and takes no second result', async () => {
    await writeFile(sandbox.path('lines.jsonl'), '{"prompt": "a fox", "seed": 1, "steps": 250}\n');
    const slow = child(workerArguments('--name', 'slow'));
    const running = batch('--queue', redis.url);
    await expect.poll(async () => (await status()).classes[0]?.running, { timeout: 20_000 }).toBe(1);
    slow.signal('SIGSTOP');
    const quick = startWorker(sandbox, redis.url, ['--name', 'quick']);
    expect(await running).toMatchObject({
      code: 0,
      err: expect.stringContaining('1 item: 1 made'),
    });
    slow.signal('SIGCONT');
    const lost = async () => (await status()).workers.find(({ name }) => name === 'slow')?.lost;
    await expect.poll(lost, { timeout: 20_000, interval: 200 }).toBe(1);
    slow.signal('SIGTERM');
    expect((await slow.ended).code).toBe(0);
    quick.drain();
    await quick.ended;
    const { classes } = await status();
    expect(classes).toEqual([expect.objectContaining({ waiting: 0, running: 0, done: 0, failed: 0 })]);
    expect(await count()).toBe(1);
  });

  it('works with clocks that differ by hours', async () => {
    const skew = (ms: number) => ({
      NODE_OPTIONS: `--import=${ROOT}/test/support/skew-clock.mjs`,
      SDGEN_TEST_SKEW_MS: String(ms),
    });
    const early = child(workerArguments('--name', 'early'), skew(-3 * 3_600_000));
    const late = child(workerArguments('--name', 'late'), skew(3 * 3_600_000));
    await expect.poll(async () => (await status()).workers.length, { timeout: 20_000 }).toBe(2);
    const times = (await status()).workers.map(({ startedAt }) => Date.parse(startedAt));
    expect(Math.abs((times[0] ?? 0) - (times[1] ?? 0))).toBeGreaterThan(5 * 3_600_000);
    const running = batch('--queue', redis.url);
    await sleep(100);
    early.signal('SIGKILL'); // what it holds is handed on by the other one's clock
    expect(await running).toMatchObject({ code: 0, err: expect.stringContaining('8 items: 8 made') });
    late.signal('SIGTERM');
    expect((await late.ended).code).toBe(0);
    expect(await count()).toBe(8);
  });

  it('makes everything although one worker has no room on its disk', async () => {
    // Files of at most 0 bytes: what a full disk does to the store of that worker, and to nothing else.
    const full = child(workerArguments('--name', 'full', '--store', 'shared'), {
      NODE_OPTIONS: `--import=${ROOT}/test/support/full-disk.mjs`,
    });
    await expect.poll(async () => (await status()).workers.length, { timeout: 20_000 }).toBe(1);
    const running = batch('--queue', redis.url, '--store', 'shared');
    await expect.poll(() => full.errors(), { timeout: 20_000 }).toContain('resting for 5 s');
    const good = startWorker(sandbox, redis.url, ['--store', 'shared']);
    expect(await running).toMatchObject({ code: 0, err: expect.stringContaining('8 items: 8 made') });
    expect((await status()).workers.find(({ name }) => name === 'full')).toMatchObject({
      trouble: expect.stringContaining('the disk is full'),
      done: 0,
    });
    good.drain();
    await good.ended;
    expect(await count()).toBe(8);
  });

  it('reaches a Redis by password and TLS, and no other way', async () => {
    const tls = makeCertificates(sandbox);
    const safe = await TestRedis.start({ password: 'pass word', tls });
    try {
      const url = safe.url.replace('pass word', 'pass%20word');
      const worker = startWorker(sandbox, url, ['--queue-ca', 'ca.pem']);
      const far = await sandbox.run(['batch', 'lines.jsonl', ...SMALL, '-o', 'out', '--queue-ca', 'ca.pem'], {
        env: { SDGEN_QUEUE: url },
      });
      expect(far).toMatchObject({ code: 0, err: expect.stringContaining('8 items: 8 made') });
      worker.drain();
      const ended = await worker.ended;
      expect(ended.out).toContain(`rediss://:***@localhost:${safe.port}`);
      expect(ended.out + ended.err).not.toContain('word');
      const refused = async (queue: string, ...more: string[]) =>
        (await sandbox.run(['fleet', '--queue', queue, ...more])).err;
      expect(await refused(url)).toMatch(/its certificate is not trusted \(.*\); --queue-ca names its CA/);
      expect(await refused(url.replace('pass%20', 'other'), '--queue-ca', 'ca.pem')).toMatch(
        /refuses the user or password/,
      );
      expect(await refused(url.replace(':pass%20word@', ''), '--queue-ca', 'ca.pem')).toMatch(
        /refuses the user or password/,
      );
      expect(await refused(url.replace('rediss', 'redis'))).toMatch(/^error: cannot reach the queue redis:/);
      expect(await refused(url, '--queue-ca', 'none.pem')).toContain('cannot read');
    } finally {
      await safe.stop();
    }
  });

  it('begins again what a queue lost', async () => {
    const running = batch('--queue', redis.url);
    const client = new Redis(redis.url);
    const waiting = async () => (await client.keys('sdgen:plans-*')).length;
    await expect.poll(waiting, { timeout: 20_000 }).toBeGreaterThan(8);
    await client.flushall();
    client.disconnect();
    const worker = startWorker(sandbox, redis.url);
    expect(await running).toMatchObject({ code: 0, err: expect.stringContaining('8 items: 8 made') });
    worker.drain();
    await worker.ended;
    expect(await readFile(sandbox.path('out', 'batch.journal.jsonl'), 'utf8')).toContain('"type":"ended"');
  });
});
