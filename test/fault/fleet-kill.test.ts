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

async function doneIn(journal: string): Promise<string[]> {
  const text = await readFile(journal, 'utf8').catch(() => '');
  const lines = text.split('\n').filter((line) => line.startsWith('{"type":"done"') && line.endsWith('}'));
  return lines.flatMap((line) => {
    const record = JSON.parse(line) as JournalRecord;
    return record.type === 'done' ? [record.item] : [];
  });
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
    begin(['worker', '--queue', redis.url, '--device', 'cpu', '--threads', '1', '--lease', '2', '-q']);
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
      const killed = { worker: 0, batch: 0, queue: 0 };
      for (let kill = 0; kill < KILLS; kill += 1) {
        // Each when a further part of the batch is done, so that it meets the fleet at work.
        const wanted = Math.floor(((kill + 1) * PLANS) / (KILLS + 2));
        while ((await doneIn(journal)).length < wanted) await sleep(10);
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
        } else {
          await redis.kill();
          await sleep(random.next().value * 300);
          await redis.begin();
        }
      }
      const { code, err } = await batch.ended;
      expect({ code, err }).toEqual({ code: 0, err: expect.stringMatching(new RegExp(`${PLANS} items: \\d+ made`)) });
      for (const child of workers) child.signal('SIGTERM');
      expect((await Promise.all(workers.map((child) => child.ended))).map((ended) => ended.code)).toEqual([0, 0]);

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
