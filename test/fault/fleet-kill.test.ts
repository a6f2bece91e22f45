import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { JournalRecord } from '../../src/batch/journal-records.js';
import { type Child, SMALL, startChild } from '../support/fleet.js';
import { describeWithRedis, TestRedis } from '../support/redis.js';
import { tinyModelPath } from '../support/tiny-model.js';

/** `npm run test:fleet` takes 300 and 45; a kill costs a start of the program. */
const PLANS = Number(process.env.SDGEN_FLEET_PLANS ?? 30);
const KILLS = Number(process.env.SDGEN_FLEET_KILLS ?? 6);
const WORKERS = 2;

/** The same numbers every time: what fails can be run again. */
function* randomNumbers(seed: number): Generator<number, never> {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state / 2 ** 32;
  }
}

async function picturesIn(folder: string): Promise<string[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.png'));
  const files = await Promise.all(names.map((name) => readFile(join(folder, name))));
  return files.map((file) => file.toString('base64')).sort();
}

/** Whole records: the last line may be in the writing. */
async function recordsIn(journal: string): Promise<JournalRecord[]> {
  const text = await readFile(journal, 'utf8').catch(() => '');
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as JournalRecord);
}

async function doneIn(journal: string): Promise<string[]> {
  return (await recordsIn(journal)).flatMap((record) => (record.type === 'done' ? [record.item] : []));
}

/** How often a submitter has reached its queue and begun: it says so in the journal. */
async function beginningsIn(journal: string): Promise<number> {
  return (await recordsIn(journal)).filter(({ type }) => type === 'batch' || type === 'resumed').length;
}

/** Waits; throws as soon as the submitter ends with an error, which would be waited for in vain. */
async function until(holds: () => Promise<boolean>, batch: Child): Promise<void> {
  let failure: string | undefined;
  void batch.ended.then(({ code, err }) => {
    if (code !== 0) failure = `the batch ended with ${code}: ${err}`;
  });
  while (!(await holds())) {
    if (failure !== undefined) throw new Error(failure);
    await sleep(10);
  }
}

describeWithRedis('a fleet whose parts are killed', () => {
  let folder: string;
  let redis: TestRedis;
  const open = new Set<Child>();
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sdgen-fleet-'));
    await mkdir(join(folder, 'models'));
    await copyFile(await tinyModelPath(), join(folder, 'models', 'micro1.safetensors'));
    redis = await TestRedis.start({ durable: true });
  });
  afterEach(async () => {
    for (const child of open) child.signal('SIGKILL');
    await Promise.all([...open].map((child) => child.ended));
    await redis.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const begin = (argv: readonly string[]): Child => {
    const child = startChild(folder, argv);
    open.add(child);
    void child.ended.then(() => open.delete(child));
    return child;
  };
  const worker = (): Child =>
    begin(['worker', '--queue', redis.url, '--device', 'cpu', '--threads', '1', '--lease', '2', '-q', '--json']);
  const submitter = (output: string, ...more: string[]): Child =>
    begin(['batch', 'lines.jsonl', ...SMALL, '-o', output, '-q', '--resume', ...more]);

  it(
    `${KILLS} times at random moments ends with exactly the ${PLANS} right pictures`,
    async () => {
      const lines = [
        { prompt: 'a fox', seed: 3, count: PLANS - 10 },
        { prompt: 'drawn', count: 10 },
      ];
      await writeFile(join(folder, 'lines.jsonl'), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
      const random = randomNumbers(Number(process.env.SDGEN_FLEET_SEED ?? 7));
      const journal = join(folder, 'out', 'batch.journal.jsonl');
      const workers = Array.from({ length: WORKERS }, worker);
      let batch = submitter('out', '--queue', redis.url);
      let submissions = 1;
      const killed = { worker: 0, batch: 0, queue: 0 };
      for (let kill = 0; kill < KILLS; kill += 1) {
        // Each when a further part of the batch is done, so that it meets the fleet at work.
        const wanted = Math.floor(((kill + 1) * PLANS) / (KILLS + 2));
        await until(async () => (await doneIn(journal)).length >= wanted, batch);
        await sleep(random.next().value * 150);
        const what = (['worker', 'batch', 'queue'] as const)[kill % 3] ?? 'worker';
        killed[what] += 1;
        if (what === 'worker') {
          const place = Math.floor(random.next().value * WORKERS);
          workers[place]?.signal('SIGKILL');
          workers[place] = worker();
        } else if (what === 'batch') {
          batch.signal('SIGKILL');
          await batch.ended;
          await sleep(random.next().value * 300);
          batch = submitter('out', '--queue', redis.url);
          submissions += 1;
        } else {
          // A program that never reached its queue says so and ends, as it should: what is killed is one in use.
          await Promise.all(workers.map((child) => child.firstLine));
          await until(async () => (await beginningsIn(journal)) >= submissions, batch);
          await redis.kill();
          await sleep(random.next().value * 300);
          await redis.begin();
        }
      }
      const { code, err } = await batch.ended;
      expect({ code, err }).toEqual({ code: 0, err: expect.stringMatching(new RegExp(`${PLANS} items: \\d+ made`)) });
      // One that is still starting would die of the signal.
      await Promise.all(workers.map((child) => child.firstLine));
      for (const child of workers) child.signal('SIGTERM');
      for (const ended of await Promise.all(workers.map((child) => child.ended))) {
        expect(ended).toMatchObject({ code: 0 });
      }

      const done = await doneIn(journal);
      expect(done).toHaveLength(PLANS);
      expect(new Set(done).size).toBe(PLANS);
      const made = await picturesIn(join(folder, 'out'));
      expect(made).toHaveLength(PLANS);
      // This machine alone makes the same, seeds that were drawn included: they are in the journal.
      await mkdir(join(folder, 'near'));
      await copyFile(journal, join(folder, 'near', 'batch.journal.jsonl'));
      expect((await submitter('near').ended).code).toBe(0);
      expect(await picturesIn(join(folder, 'near'))).toEqual(made);
      expect(Object.values(killed).reduce((sum, count) => sum + count, 0)).toBe(KILLS);
    },
    120_000 + KILLS * 15_000,
  );
});
