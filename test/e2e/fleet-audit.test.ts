import { writeFile } from 'node:fs/promises';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { Registry } from '../../src/fleet/registry.js';
import type { Latent } from '../../src/native/types.js';
import { CliSandbox } from '../support/cli.js';
import { createFakeEngine, type FakeBehaviour, type FakeEngine } from '../support/fake-native.js';
import { type InProcessWorker, startWorker } from '../support/fleet.js';
import { describeWithRedis, TestRedis } from '../support/redis.js';

/** A worker with a defect: one value of every latent is off by a bit's worth. */
const LYING: FakeBehaviour = {
  onSampled: (_, { data }: Latent) => {
    data[3] = (data[3] ?? 0) + 2 ** -10;
  },
};

describeWithRedis('an audit', () => {
  let server: TestRedis;
  let redis: Redis;
  let sandbox: CliSandbox;
  let workers: InProcessWorker[];
  beforeAll(async () => {
    server = await TestRedis.start();
    redis = new Redis(server.url);
  });
  afterAll(async () => {
    redis.disconnect();
    await server.stop();
  });
  beforeEach(async () => {
    await redis.flushall();
    sandbox = await CliSandbox.create({ 'a.safetensors': 'weights of a' });
    await writeFile(sandbox.path('lines.jsonl'), '{"prompt": "a fox", "seed": 1, "count": 12}\n');
    workers = [];
  });
  afterEach(async () => {
    for (const worker of workers) worker.drain();
    for (const worker of workers) await worker.ended;
    await sandbox.remove();
  });

  const start = async (behaviours: Readonly<Record<string, FakeBehaviour>>): Promise<FakeEngine[]> => {
    const engines = Object.entries(behaviours).map(([name, behaviour]) => {
      const engine = createFakeEngine(behaviour);
      const argv = ['--name', name, '--device', 'reference', '--concurrency', '2'];
      workers.push(startWorker(sandbox, server.url, argv, engine.addon));
      return engine;
    });
    const registry = new Registry(redis);
    await expect.poll(async () => (await registry.workers()).length, { timeout: 10_000 }).toBe(engines.length);
    return engines;
  };
  const engine = createFakeEngine();
  const batch = (output: string, ...more: string[]) => {
    const size = ['-m', 'a', '--width', '64', '--height', '64', '--steps', '2', '--device', 'reference'];
    return sandbox.run(['batch', 'lines.jsonl', ...size, '-o', output, '--json', ...more], { addon: engine.addon });
  };
  const far = (share: string) => batch('far', '--queue', server.url, '--audit', share);
  const latents = (out: string): string[] =>
    out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).files[0].latentSha256)
      .sort();

  it('finds nothing where nothing is wrong, and leaves no queue of a worker behind', async () => {
    const engines = await start({ one: {}, two: {} });
    const { code, err } = await far('100%');
    expect(code).toBe(0);
    expect(err).toContain('audit: 12 plans were made twice, 0 of them differed');
    expect(engines.reduce((sum, { samples }) => sum + samples.length, 0)).toBe(24);
    const own = await redis.keys('sdgen:to-*');
    expect(own.filter((key) => !/:(stalled-check|meta)$/.test(key))).toEqual([]);
  });

  it('names the worker that is wrong, sets it aside, and keeps the right pictures', async () => {
    await start({ one: {}, two: {}, liar: LYING });
    const { code, err, out } = await far('100%');
    expect(code).toBe(0);
    expect(err).toMatch(
      /audit: worker liar is set aside: its result of the plan [0-9a-f]{12} is not that of (one|two) and (one|two)\. It made \d+ of/,
    );
    expect(err).not.toMatch(/worker (one|two) is set aside/);
    expect([...(await new Registry(redis).aside()).keys()]).toEqual(['liar']);
    expect(latents(out)).toEqual(latents((await batch('near')).out));
  });

  it('lets this machine decide where there are only two', async () => {
    await start({ one: {}, liar: LYING });
    const { err, out } = await far('1');
    expect(err).toContain('two workers differ and no third one is there: computing the plan on this machine');
    expect(err).toMatch(/audit: worker liar is set aside: .* is not that of one and this machine/);
    expect([...(await new Registry(redis).aside()).keys()]).toEqual(['liar']);
    expect(latents(out)).toEqual(latents((await batch('near')).out));
  });

  it('says when there is nobody to compare with, and what a share is', async () => {
    await start({ one: {} });
    const { code, err } = await far('50%');
    expect(code).toBe(0);
    expect(err).toContain('audit: no second worker is there');
    for (const share of ['lots', '101%', '-1', '2']) {
      expect(await far(share)).toMatchObject({ code: 2, err: expect.stringContaining('--audit') });
    }
  });
});
