/**
 * Runs one target of `targets.mjs` in a thread of its own: its corpus, then random changes of it; an input with which
 * something new happens joins the corpus in memory. The other thread watches that no input takes too long.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker, workerData } from 'node:worker_threads';
import { change, Draws, MAX_INPUT } from './changes.mjs';

const TARGETS_MODULE = new URL('./targets.mjs', import.meta.url).href;
const SECONDS_AN_INPUT = 10;
const MAX_CORPUS = 4000;
/** Between two looks at the time; one look takes as long as an easy input. */
const RUNS_A_LOOK = 32;

/**
 * @typedef {{ target: string, corpus: string, seconds: number, runs: number | undefined, seed: number, crash: string,
 *   module?: string, secondsAnInput?: number }} Job `module` has the targets, as `TARGETS`
 * @typedef {{ inputs: number, committed: number, kinds: number }} Tally
 */

/** @param {string} folder */
function readCorpus(folder) {
  return readdirSync(folder)
    .sort()
    .map((name) => readFileSync(join(folder, name)));
}

/** @param {Job & { shared: SharedArrayBuffer }} job @returns {Promise<Tally>} */
async function fuzz({ target: name, corpus: folder, seconds, runs, seed, module = TARGETS_MODULE, shared }) {
  const { TARGETS } = await import(module);
  const target = TARGETS[name];
  if (target === undefined) throw new Error(`no target ${name}`);
  const run = await target.load();
  const [counters, room] = [new Int32Array(shared, 0, 2), new Uint8Array(shared, 8)];
  const kinds = new Set();
  const corpus = readCorpus(folder);
  const committed = corpus.length;
  /** @param {Buffer} input */
  const attempt = (input) => {
    room.set(input);
    counters[1] = input.length;
    Atomics.add(counters, 0, 1);
    const kind = run(input);
    if (kinds.has(kind)) return;
    kinds.add(kind);
    if (!corpus.includes(input) && corpus.length < MAX_CORPUS) corpus.push(input);
  };
  for (const input of corpus.slice()) attempt(input.subarray(0, MAX_INPUT));
  const draws = new Draws(seed);
  const end = performance.now() + seconds * 1000;
  let inputs = 0;
  while (runs === undefined ? inputs % RUNS_A_LOOK !== 0 || performance.now() < end : inputs < runs) {
    const changed = change(draws.of(corpus), corpus, target.words, draws);
    attempt(target.mend !== undefined && draws.below(8) > 0 ? target.mend(changed) : changed);
    inputs += 1;
  }
  return { inputs, committed, kinds: kinds.size };
}

/**
 * @param {Job} job
 * @returns {Promise<Tally>} or an Error with what went wrong; the input is then in the file `job.crash`
 */
export async function runTarget(job) {
  const shared = new SharedArrayBuffer(8 + MAX_INPUT);
  const [counters, room] = [new Int32Array(shared, 0, 2), new Uint8Array(shared, 8)];
  const worker = new Worker(new URL(import.meta.url), { workerData: { ...job, shared } });
  const save = () => writeFileSync(job.crash, Buffer.from(room.slice(0, counters[1])));
  const patience = job.secondsAnInput ?? SECONDS_AN_INPUT;
  let last = -1;
  /** @type {NodeJS.Timeout | undefined} */
  let watch;
  try {
    return await new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
      worker.once('exit', (code) => reject(new Error(`the thread ended with ${code}`)));
      watch = setInterval(() => {
        const now = Atomics.load(counters, 0);
        if (now > 0 && now === last) reject(new Error(`an input took more than ${patience} seconds`));
        last = now;
      }, patience * 1000);
    });
  } catch (error) {
    save();
    throw error;
  } finally {
    clearInterval(watch);
    await worker.terminate();
  }
}

if (workerData?.shared !== undefined) {
  const { parentPort } = await import('node:worker_threads');
  parentPort?.postMessage(await fuzz(workerData));
}

export const CORPUS = fileURLToPath(new URL('../../test/fuzz/corpus', import.meta.url));
