import { EventEmitter } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { CliSandbox } from '../support/cli.js';
import { SMALL, startWorker } from '../support/fleet.js';
import { describeWithRedis, TestRedis } from '../support/redis.js';
import { TestS3 } from '../support/s3.js';
import { tinyModelPath } from '../support/tiny-model.js';

const LINES = '{"prompt": "a fox", "count": 3, "seed": 5}\n{"prompt": "a {red|blue} owl", "seed": 9}\n';

async function pngs(sandbox: CliSandbox, folder: string): Promise<Map<string, string>> {
  const names = (await readdir(sandbox.path(folder))).filter((name) => name.endsWith('.png')).sort();
  return new Map(
    await Promise.all(
      names.map(async (name) => [name, (await readFile(sandbox.path(folder, name))).toString('base64')] as const),
    ),
  );
}

describeWithRedis('a batch over a fleet', () => {
  let redis: TestRedis;
  let sandbox: CliSandbox;
  beforeAll(async () => {
    redis = await TestRedis.start();
  });
  afterAll(() => redis.stop());
  beforeEach(async () => {
    sandbox = await CliSandbox.create({ 'micro1.safetensors': await readFile(await tinyModelPath()) });
    await writeFile(sandbox.path('lines.jsonl'), LINES);
    const client = new Redis(redis.url);
    await client.flushall();
    client.disconnect();
  });
  afterEach(() => sandbox.remove());

  const batch = (output: string, ...more: string[]) =>
    sandbox.run(['batch', 'lines.jsonl', ...SMALL, '-o', output, ...more]);

  it('makes the files that this machine alone makes, and leaves nothing in the queue but what is known', async () => {
    const worker = startWorker(sandbox, redis.url, ['--concurrency', '2']);
    const far = await batch('far', '--queue', redis.url, '--json');
    expect(far.err).toMatch(/5 items: 5 made\n$/);
    expect(far.code).toBe(0);
    const near = await batch('near');
    expect(near.code).toBe(0);
    const files = [...(await pngs(sandbox, 'far')).values()].sort();
    expect(files).toEqual([...(await pngs(sandbox, 'near')).values()].sort());
    const client = new Redis(redis.url);
    expect(await client.keys('sdgen:blob:*')).toEqual([]);
    expect((await client.keys('sdgen:plans-*')).filter((key) => /:[0-9a-f]{64}$/.test(key))).toEqual([]);
    client.disconnect();
    worker.drain();
    const { code, out, err } = await worker.ended;
    expect({ code, out }).toEqual({
      code: 0,
      out: expect.stringMatching(/^worker .* takes plans from redis:.*: cpu, fp32/),
    });
    expect(err).toMatch(/draining.*\ndrained\n$/s);
  });

  it('resumes across both ways', async () => {
    await writeFile(sandbox.path('lines.jsonl'), LINES.split('\n')[0] ?? '');
    expect((await batch('out')).code).toBe(0);
    await writeFile(sandbox.path('lines.jsonl'), LINES);
    const worker = startWorker(sandbox, redis.url);
    const far = await batch('out', '--queue', redis.url, '--resume');
    expect(far.err).toContain('5 items: 2 made, 3 there already');
    worker.drain();
    await worker.ended;
    const near = await batch('out', '--resume');
    expect(near).toMatchObject({ code: 0, out: '', err: expect.stringContaining('5 items: 0 made, 5 there already') });
  });

  it('carries results through a shared folder and through S3, and only to who shares them', async () => {
    const s3 = await TestS3.start();
    const places = [
      { store: 'shared', env: {} },
      { store: 's3://pictures/fleet', env: s3.env },
    ];
    for (const [i, { store, env }] of places.entries()) {
      const argv = ['batch', 'lines.jsonl', ...SMALL, '-o', `out${i}`, '--queue', redis.url, '--store', store];
      const other = startWorker(sandbox, redis.url);
      const worker = startWorker(sandbox, redis.url, ['--store', store], undefined, env);
      const { code, err } = await sandbox.run(argv, { env });
      expect(err).toContain('5 items: 5 made');
      expect(code).toBe(0);
      other.drain();
      worker.drain();
      expect((await other.ended).err).toContain('not for this worker: another --store is asked for');
      await worker.ended;
    }
    expect(s3.requests).toBeGreaterThanOrEqual(15);
    expect([...s3.objects]).toEqual([]);
    expect(await readdir(sandbox.path('shared', 'results'))).toEqual([]);
    await s3.stop();
    expect((await pngs(sandbox, 'out0')).size).toBe(5);
    expect([...(await pngs(sandbox, 'out0')).values()].sort()).toEqual(
      [...(await pngs(sandbox, 'out1')).values()].sort(),
    );
    const alone = await sandbox.run(['batch', 'lines.jsonl', ...SMALL, '--store', 'shared']);
    expect(alone.err).toContain('--store is for the fleet behind --queue');
  });

  it('says when no worker can take the plans, and takes them back when interrupted', async () => {
    const signals = new EventEmitter();
    const running = sandbox.run(['batch', 'lines.jsonl', ...SMALL, '-o', 'out', '--queue', redis.url], { signals });
    const client = new Redis(redis.url);
    const waiting = async (): Promise<number> => {
      const keys = await client.keys('sdgen:plans-*:prioritized');
      return keys[0] === undefined ? 0 : client.zcard(keys[0]);
    };
    while ((await waiting()) < 5) await new Promise((resolve) => setTimeout(resolve, 20));
    await new Promise((resolve) => setTimeout(resolve, 2600));
    signals.emit('SIGINT');
    const { code, err } = await running;
    expect(code).toBe(130);
    expect(err).toContain('plans for micro1 fp32 wait for a worker: no worker is there');
    expect(err).toMatch(/interrupted: 0 of 5 items are done; resume with: sdgen batch .*--queue/);
    expect(await waiting()).toBe(0);
    client.disconnect();
  });

  it('takes no plan of another precision or model', async () => {
    const worker = startWorker(sandbox, redis.url, ['--precision', 'bf16']);
    const signals = new EventEmitter();
    const running = sandbox.run(['batch', 'lines.jsonl', ...SMALL, '-o', 'out', '--queue', redis.url], { signals });
    await new Promise((resolve) => setTimeout(resolve, 2600));
    signals.emit('SIGINT');
    const { err } = await running;
    worker.drain();
    const told = (await worker.ended).err;
    if (/precision bf16/.test(told)) return; // a processor without bf16: the worker itself refuses to begin
    expect(err).toContain('of 1 workers none can: fp32 is not among bf16');
    expect(told).toContain('not for this worker: fp32 is not among bf16');
  });

  it.each([
    ['http://x', '--queue must be redis://host:port'],
    ['redis://127.0.0.1:1', 'cannot reach the queue redis://127.0.0.1:1: nothing answers there'],
    ['redis://:secret@127.0.0.1:1/3', 'cannot reach the queue redis://:***@127.0.0.1:1/3: nothing answers there'],
  ])('refuses %s', async (url, message) => {
    const { err, code } = await batch('out', '--queue', url);
    expect(err).toContain(`error: ${message}`);
    expect(code).toBe(url.startsWith('http') ? 2 : 1);
    const worker = await startWorker(sandbox, url).ended;
    expect(worker.err).toContain(`error: ${message}`);
  });
});
