import { EventEmitter } from 'node:events';
import { readdir, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { classQueue } from '../../src/fleet/classes.js';
import { KEYS } from '../../src/fleet/names.js';
import { Registry } from '../../src/fleet/registry.js';
import type { FleetStatus } from '../../src/fleet/status.js';
import { NativeError } from '../../src/native/errors.js';
import { PLAN_FORMAT } from '../../src/pipeline/plan.js';
import { CliSandbox } from '../support/cli.js';
import { createFakeEngine, type FakeBehaviour, type FakeEngine } from '../support/fake-native.js';
import { type InProcessWorker, startWorker } from '../support/fleet.js';
import { describeWithRedis, TestRedis } from '../support/redis.js';

const SMALL = ['--width', '64', '--height', '64', '--steps', '2', '--device', 'reference'];

/** Workers of this process over engines without weights: what the fleet does is real, pictures are quick. */
describeWithRedis('a fleet', () => {
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
    sandbox = await CliSandbox.create({ 'a.safetensors': 'weights of a', 'b.safetensors': 'weights of b' });
    workers = [];
  });
  afterEach(async () => {
    for (const worker of workers) {
      worker.drain();
      worker.drain();
      await worker.ended;
    }
    await sandbox.remove();
  });

  const worker = (name: string, behaviour: FakeBehaviour = {}, ...more: string[]): [InProcessWorker, FakeEngine] => {
    const engine = createFakeEngine(behaviour);
    const argv = ['--name', name, '--device', 'reference', ...more];
    const started = startWorker(sandbox, server.url, argv, engine.addon);
    workers.push(started);
    return [started, engine];
  };
  const batch = async (lines: readonly object[], ...more: string[]) => {
    await writeFile(sandbox.path('lines.jsonl'), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    const argv = ['batch', 'lines.jsonl', ...SMALL, '-o', 'out', '--queue', server.url, ...more];
    return sandbox.run(argv, { addon: createFakeEngine().addon });
  };
  const fleet = (...more: string[]) => sandbox.run(['fleet', '--queue', server.url, ...more]);
  const status = async (): Promise<FleetStatus> => JSON.parse((await fleet('--json')).out);
  const foxes = (count: number, first = 1) => [{ prompt: 'a fox', model: 'a', seed: first, count }];

  it('fails a plan that always fails after three tries, which stops nobody, and tells of it', async () => {
    let tries = 0;
    const poison = ({ seeds }: { readonly seeds: readonly number[] }): void => {
      if (!seeds.includes(666)) return;
      tries += 1;
      throw new NativeError('E_NON_FINITE', 'unet: not finite');
    };
    worker('one', { onSampled: poison });
    worker('two', { onSampled: poison });
    const { code, err } = await batch(foxes(6, 663));
    expect(code).toBe(1);
    expect(err).toMatch(/error: lines.jsonl:1: unet: not finite \(worker (one|two)\)\n/);
    expect(err).toContain('6 items: 5 made, 1 failed');
    expect(tries).toBe(3);
    const { failures, classes, workers: known } = await status();
    expect(failures).toEqual([expect.objectContaining({ model: 'a', tries: 3 })]);
    expect(failures[0]?.reason).toMatch(/^E_NON_FINITE: unet: not finite/);
    expect(classes).toEqual([expect.objectContaining({ waiting: 0, running: 0, done: 0, failed: 1, workers: 2 })]);
    expect(known.map(({ name }) => name)).toEqual(['one', 'two']);
    const { out } = await fleet();
    expect(out).toMatch(/^2 workers, 0 working, [\d.]+ pictures a minute\nworker +state/);
    expect(out).toMatch(/failed: a plan [0-9a-f]{12} after 3 tries: E_NON_FINITE/);
    const metrics = (await fleet('--metrics')).out;
    expect(metrics).toContain('sdgen_fleet_plans{model="a",precision="fp32",state="failed"} 1\n');
    expect(metrics).toContain('sdgen_fleet_workers{state="idle"} 2\n');
    // A later batch tries it again.
    expect((await batch([{ prompt: 'a fox', model: 'a', seed: 666 }], '-o', 'later')).code).toBe(1);
    expect(tries).toBe(6);
  });

  it('lets a worker rest whose failures are its own', async () => {
    const [, bad] = worker('bad', { fail: { at: 'load', code: 'E_IO' } });
    await sleep(300);
    worker('good', { onSampled: () => sleep(20) });
    const { code, err } = await batch(foxes(20));
    expect(err).toContain('20 items: 20 made');
    expect(code).toBe(0);
    expect(bad.loads).toBeLessThanOrEqual(2);
    const state = (await status()).workers.find(({ name }) => name === 'bad');
    if (bad.loads > 0) expect(state?.trouble).toMatch(/^E_IO: load failed/);
  });

  it('finishes what is under way when told to end, and gives it back when told again', async () => {
    let begun = 0;
    const slow = async (): Promise<void> => {
      begun += 1;
      await sleep(700);
    };
    const [first] = worker('first', { onSampled: slow });
    const running = batch(foxes(3));
    while (begun === 0) await sleep(10);
    first.drain();
    const ended = await first.ended;
    expect(ended.code).toBe(0);
    expect(ended.err).toMatch(/draining: no new plan is taken\n(.*\n)*drained\n$/);
    expect(begun).toBe(1);
    const [second] = worker('second', { onSampled: slow });
    while (begun === 1) await sleep(10);
    second.drain();
    second.drain();
    expect((await second.ended).code).toBe(0);
    worker('third');
    expect(await running).toMatchObject({ code: 0, err: expect.stringContaining('3 items: 3 made') });
  });

  it('loads a model once for all the plans that wait for it', async () => {
    const lines = Array.from({ length: 16 }, (_, i) => ({ prompt: 'a fox', model: i % 2 === 0 ? 'a' : 'b', seed: i }));
    const running = batch(lines);
    while ((await redis.hlen(KEYS.classes)) < 2) await sleep(10);
    await sleep(200);
    const [, engine] = worker('only');
    expect((await running).err).toContain('16 items: 16 made');
    expect(engine.loads).toBe(2);
  });

  it('leaves plans of another version, model or device where they are', async () => {
    const registry = new Registry(redis);
    const model = { name: 'x', sha256: 'ab'.repeat(32) };
    const other = { numerics: 1, model, vae: null, device: 'any', precision: 'fp32', store: null };
    await registry.registerClass({ ...other, planFormat: 'sdgen-plan-99' });
    await registry.registerClass({ ...other, planFormat: PLAN_FORMAT, numerics: 99 });
    // What says to be another class than it is, is nobody's.
    await redis.hset(KEYS.classes, 'plans-forged', JSON.stringify({ ...other, planFormat: PLAN_FORMAT }));
    expect([...(await registry.classes()).keys()]).not.toContain('plans-forged');
    const [one] = worker('one');
    await expect.poll(async () => (await status()).workers.length, { timeout: 5000 }).toBe(1);
    await sleep(300);
    one.drain();
    const { err } = await one.ended;
    expect(err).toMatch(/not for this worker: plans of the format sdgen-plan-99, and this sdgen runs sdgen-plan-\d/);
    expect(err).toContain('not for this worker: plans for version 99 of the numerics');
    expect(classQueue({ ...other, planFormat: 'a' })).not.toBe(classQueue({ ...other, planFormat: 'b' }));
  });

  it('gives a worker that is set aside nothing until it is taken back', async () => {
    const registry = new Registry(redis);
    await registry.setAside('one', { why: 'its latents are wrong', plan: 'ab'.repeat(32), at: '2026-01-01' });
    const [, engine] = worker('one');
    const signals = new EventEmitter();
    const running = batch(foxes(2));
    await sleep(1500);
    expect(engine.samples).toHaveLength(0);
    expect((await fleet()).out).toContain('set aside: one: its latents are wrong\n');
    expect((await fleet('--reinstate', 'one')).code).toBe(0);
    expect((await fleet('--reinstate', 'one')).err).toContain('no worker one is set aside');
    expect((await running).err).toContain('2 items: 2 made');
    signals.removeAllListeners();
    expect((await readdir(sandbox.path('out'))).filter((name) => name.endsWith('.png'))).toHaveLength(2);
  });

  it('answers metrics on a port', async () => {
    const signals = new EventEmitter();
    const stdout: Promise<unknown> = sandbox.run(['fleet', '--queue', server.url, '--metrics-port', '19464'], {
      signals,
    });
    const ask = () => fetch('http://127.0.0.1:19464/metrics').then((reply) => reply.text());
    await expect.poll(() => ask().catch(() => ''), { timeout: 5000 }).toContain('sdgen_fleet_aside 0');
    expect((await fetch('http://127.0.0.1:19464/other')).status).toBe(404);
    signals.emit('SIGTERM');
    expect(await stdout).toMatchObject({ code: 0, out: 'http://127.0.0.1:19464/metrics\n' });
    expect((await fleet('--metrics-port', '70000')).code).toBe(2);
    expect((await sandbox.run(['fleet'])).err).toContain('--queue is missing');
    expect((await sandbox.run(['worker'])).err).toContain('--queue is missing');
  });
});
