#!/usr/bin/env node
/**
 * Many clients at once against a server of its own: how long replies take, how many are refused, what memory they cost,
 * and whether one is lost or goes to somebody else (each asks for a seed of its own and reads it in its reply).
 * `node scripts/bench/server.mjs --model models/micro1.safetensors [--clients 200] [--seconds 60] [--size 64] [--steps 2]
 * [--max-queue N]`. A client that is refused waits as long as Retry-After says. JSON on stdout; exit code 1 if anything
 * was lost, wrong, or answered with another status than 200 and 429.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const PNG_START = 'iVBORw0KGgo';
/** Memory is read again when the server has been idle for so long. */
const SETTLE_MS = 3000;

/** @typedef {{ status: number, ms: number, wrong?: string, retryMs?: number }} Reply */

/**
 * @param {string} url @param {{ seed: number, size: number, steps: number }} wanted
 * @returns {Promise<Reply>}
 */
async function ask(url, { seed, size, steps }) {
  const begin = performance.now();
  const body = JSON.stringify({ prompt: 'a fox', seed, width: size, height: size, steps, sampler_name: 'Euler' });
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(`${url}/sdapi/v1/txt2img`, { method: 'POST', headers, body });
  const text = await response.text();
  const ms = performance.now() - begin;
  if (response.status !== 200) {
    return { status: response.status, ms, retryMs: 1000 * Number(response.headers.get('retry-after') ?? 1) };
  }
  const { images, info } = JSON.parse(text);
  if (images.length !== 1 || !images[0].startsWith(PNG_START)) return { status: 200, ms, wrong: 'no picture' };
  const { seed: made } = JSON.parse(info);
  return { status: 200, ms, ...(made === seed ? {} : { wrong: `seed ${made} for ${seed}` }) };
}

/** @param {string} url @returns {Promise<number>} resident memory in MiB */
async function memory(url) {
  const text = await (await fetch(`${url}/metrics`)).text();
  const line = /^(?:\w+_)?process_resident_memory_bytes (\S+)$/m.exec(text);
  if (line === null) throw new Error('the metrics say nothing of memory');
  return Math.round(Number(line[1]) / 2 ** 20);
}

/**
 * @param {string} url @param {{ clients: number, seconds: number, size: number, steps: number }} load
 */
async function drive(url, { clients, seconds, size, steps }) {
  /** @type {Reply[]} */
  const replies = [];
  const lost = /** @type {string[]} */ ([]);
  let sent = 0;
  const until = performance.now() + 1000 * seconds;
  const client = async () => {
    while (performance.now() < until) {
      sent += 1;
      try {
        const reply = await ask(url, { seed: sent, size, steps });
        replies.push(reply);
        if (reply.retryMs !== undefined) await sleep(Math.min(reply.retryMs, Math.max(0, until - performance.now())));
      } catch (error) {
        lost.push(error instanceof Error ? `${error.message} ${error.cause ?? ''}` : String(error));
      }
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return { sent, replies, lost };
}

/** @param {number[]} sorted @param {number} share */
const quantile = (sorted, share) =>
  Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0);

/** @param {Reply[]} replies */
function latency(replies) {
  const sorted = replies.map(({ ms }) => ms).sort((a, b) => a - b);
  return {
    p50_ms: quantile(sorted, 0.5),
    p90_ms: quantile(sorted, 0.9),
    p99_ms: quantile(sorted, 0.99),
    max_ms: quantile(sorted, 1),
  };
}

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    clients: { type: 'string', default: '200' },
    seconds: { type: 'string', default: '60' },
    size: { type: 'string', default: '64' },
    steps: { type: 'string', default: '2' },
    'max-queue': { type: 'string' },
  },
});
if (values.model === undefined) throw new Error('--model is missing: a small one, such as models/micro1.safetensors');
const load = {
  clients: Number(values.clients),
  seconds: Number(values.seconds),
  size: Number(values.size),
  steps: Number(values.steps),
};
const folder = await mkdtemp(join(tmpdir(), 'sdgen-bench-server-'));
const bin = fileURLToPath(new URL('../../bin/sdgen.mjs', import.meta.url));
const queue = values['max-queue'] === undefined ? [] : ['--max-queue', values['max-queue']];
const flags = ['serve', '--model', resolve(values.model), '--port', '0', '--json', '-q', ...queue];
const server = spawn(process.execPath, [bin, ...flags], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
try {
  const [line] = await once(createInterface(server.stdout), 'line');
  const { url } = JSON.parse(line);
  const alone = await ask(url, { seed: 1, size: load.size, steps: load.steps }); // the weights are read
  await sleep(SETTLE_MS);
  const before = await memory(url);
  const begin = performance.now();
  const { sent, replies, lost } = await drive(url, load);
  const took = (performance.now() - begin) / 1000;
  const during = await memory(url);
  await sleep(SETTLE_MS);
  const after = await memory(url);
  const made = replies.filter(({ status }) => status === 200);
  const refused = replies.filter(({ status }) => status === 429);
  const other = replies.filter(({ status }) => status !== 200 && status !== 429);
  const wrong = replies.flatMap((reply) => reply.wrong ?? []);
  console.log(
    JSON.stringify(
      {
        machine: cpus()[0]?.model,
        ...load,
        sent,
        made: { count: made.length, per_second: Number((made.length / took).toFixed(1)), ...latency(made) },
        first_ms: Math.round(alone.ms),
        refused: { count: refused.length, ...latency(refused) },
        other: other.map(({ status }) => status),
        lost: sent - replies.length,
        wrong,
        resident_mib: { before, during, after },
      },
      null,
      2,
    ),
  );
  for (const reason of new Set(lost)) console.error(`lost: ${reason}`);
  if (lost.length + other.length + wrong.length > 0 || sent !== replies.length) process.exitCode = 1;
} finally {
  server.kill('SIGTERM');
  await once(server, 'exit');
  await rm(folder, { recursive: true, force: true });
}
