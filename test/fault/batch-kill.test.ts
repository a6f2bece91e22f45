import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { JournalRecord } from '../../src/batch/journal-records.js';
import { tinyModelPath } from '../support/tiny-model.js';

const BIN = fileURLToPath(new URL('../../bin/sdgen.mjs', import.meta.url));
/** `npm run test:kill` takes 50; each costs a start of the program. */
const KILLS = Number(process.env.SDGEN_KILLS ?? 8);
/** More than are made between the kills, so that each hits a batch at work. */
const PICTURES = 8 + 10 * KILLS;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sdgen-kill-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** The same numbers every time: what fails can be run again. */
function* randomNumbers(seed: number): Generator<number, never> {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state / 2 ** 32;
  }
}

async function batchArguments(lines: string, output: string): Promise<string[]> {
  const model = await tinyModelPath('micro1');
  const size = ['--width', '64', '--height', '64', '--steps', '1', '--device', 'cpu', '--precision', 'fp32'];
  return [BIN, 'batch', lines, '-m', model, ...size, '--threads', '1', '-o', output, '-q', '--resume'];
}

interface Running {
  readonly ended: Promise<{ readonly code: number | null; readonly err: string }>;
  kill(): void;
}

function start(argv: readonly string[]): Running {
  const environment = { HOME: folder, XDG_CONFIG_HOME: undefined, SDGEN_CONFIG: undefined };
  const child = spawn(process.execPath, argv, { cwd: folder, env: { ...process.env, ...environment } });
  let err = '';
  child.stdout.resume();
  child.stderr.on('data', (data: Buffer) => {
    err += data;
  });
  const ended = new Promise<{ code: number | null; err: string }>((resolve) => {
    child.on('close', (code) => resolve({ code, err }));
  });
  return { ended, kill: () => child.kill('SIGKILL') };
}

const sizeOf = async (path: string): Promise<number> => (await stat(path).catch(() => undefined))?.size ?? 0;

/** Kills at a random point: a quarter of the time while it starts, else a moment after the journal grew. */
async function runAndKill(
  argv: readonly string[],
  journal: string,
  random: Generator<number, never>,
): Promise<boolean> {
  const running = start(argv);
  let over = false;
  void running.ended.then(() => {
    over = true;
  });
  const before = await sizeOf(journal);
  if (random.next().value < 0.25) await Promise.race([sleep(random.next().value * 800), running.ended]);
  else while (!over && (await sizeOf(journal)) === before) await sleep(2);
  await Promise.race([sleep(random.next().value * 250), running.ended]);
  running.kill();
  const { code } = await running.ended;
  return code === null;
}

async function readJournal(path: string): Promise<JournalRecord[]> {
  const text = await readFile(path, 'utf8');
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as JournalRecord);
}

async function picturesIn(path: string): Promise<Map<string, Buffer>> {
  const names = (await readdir(path)).filter((name) => name.endsWith('.png')).sort();
  return new Map(await Promise.all(names.map(async (name) => [name, await readFile(join(path, name))] as const)));
}

describe('a batch that is killed', () => {
  it(
    `${KILLS} times at random points ends with every picture, once, as an undisturbed one makes it`,
    async () => {
      const half = Math.ceil(PICTURES / 2);
      const lines = [
        { prompt: '{a|b} fox', seed: 3, count: Math.ceil(half / 2) },
        { prompt: 'drawn', count: PICTURES - 2 * Math.ceil(half / 2) },
      ];
      await writeFile(join(folder, 'lines.jsonl'), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
      const out = join(folder, 'out');
      const journal = join(out, 'batch.journal.jsonl');
      const argv = await batchArguments('lines.jsonl', 'out');
      const random = randomNumbers(20);
      let kills = 0;
      for (let i = 0; i < KILLS; i += 1) kills += (await runAndKill(argv, journal, random)) ? 1 : 0;
      expect(kills).toBe(KILLS);
      const { code, err } = await start(argv).ended;
      expect({ code, err }).toEqual({
        code: 0,
        err: expect.stringMatching(new RegExp(`^${PICTURES} items: \\d+ made`)),
      });

      expect((await readdir(out)).filter((name) => !name.endsWith('.png'))).toEqual(['batch.journal.jsonl']);
      const records = await readJournal(journal);
      const done = records.flatMap((record) => (record.type === 'done' ? [record] : []));
      expect(done).toHaveLength(PICTURES);
      expect(new Set(done.map(({ item }) => item)).size).toBe(PICTURES);
      expect(records.filter(({ type }) => type === 'seeds')).toHaveLength(1);
      const made = await picturesIn(out);
      expect(made.size).toBe(PICTURES);
      // A name is given again to the item whose picture was lost, and to no other.
      expect(new Set(done.flatMap(({ files }) => files.map(({ name }) => name)))).toEqual(new Set(made.keys()));
      const lost = records.filter(({ type }) => type === 'saving').length - PICTURES;
      expect(lost).toBeLessThanOrEqual(KILLS);

      // Each request as the journal has it, alone.
      const begun = new Map(
        records.flatMap((one) => (one.type === 'started' ? [[one.item, one.request] as const] : [])),
      );
      const alone = done.map(({ item }) => `${JSON.stringify(begun.get(item))}\n`).join('');
      await writeFile(join(folder, 'alone.jsonl'), alone);
      expect((await start(await batchArguments('alone.jsonl', 'again')).ended).code).toBe(0);
      expect(await picturesIn(join(folder, 'again'))).toEqual(made);
    },
    60_000 + KILLS * 8_000,
  );
});
