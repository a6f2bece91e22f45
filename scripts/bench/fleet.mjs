#!/usr/bin/env node
/**
 * What a plan costs besides its computing when a fleet makes it: `node scripts/bench/fleet.mjs [--plans N] [--json]`.
 * Needs redis-server and a built project. First whole batches of the tiny model, here and over 1, 2 and 4 workers; then
 * each step by itself, with pictures of 512x512 that do not compress, and what Redis spends on it.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Worker } from 'bullmq';
import { makeTinyModel } from '../make-tiny-model.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PORT = 16399;
const URL_ = `redis://127.0.0.1:${PORT}`;
const { values } = parseArgs({ options: { plans: { type: 'string', default: '100' }, json: { type: 'boolean' } } });
const PLANS = Number(values.plans);
const folder = mkdtempSync(join(tmpdir(), 'sdgen-bench-fleet-'));
/** @type {import('node:child_process').ChildProcess[]} */
const children = [];

/** @param {string[]} argv */
function sdgen(argv) {
  const child = spawn(process.execPath, [join(ROOT, 'bin/sdgen.mjs'), ...argv], {
    cwd: folder,
    env: { ...process.env, HOME: folder },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let err = '';
  child.stderr?.on('data', (data) => {
    err += data;
  });
  children.push(child);
  /** @type {Promise<void>} */
  const ended = new Promise((resolve, reject) => {
    child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`sdgen ${argv[0]}: ${code}: ${err}`))));
  });
  return { child, ended };
}

const HERTZ = 100;
/** Milliseconds of CPU that a running process has used. @param {number | undefined} pid */
function cpuOf(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / HERTZ;
}

/** A batch's time and its process's CPU, start and end included. @param {string[]} more */
async function runBatch(...more) {
  const size = ['-m', 'micro1', '--width', '64', '--height', '64', '--steps', '1', '--threads', '1', '-q'];
  const start = performance.now();
  const output = join(folder, `out-${Math.round(start)}`);
  const argv = ['batch', 'lines.jsonl', ...size, '--device', 'cpu', '--precision', 'fp32', '-o', output, ...more];
  const { child, ended } = sdgen(argv);
  let cpuMs = 0;
  const watch = setInterval(() => {
    if (child.exitCode === null) cpuMs = cpuOf(child.pid);
  }, 20);
  await ended.finally(() => clearInterval(watch));
  rmSync(output, { recursive: true });
  return { ms: performance.now() - start, cpuMs };
}

/** @param {number} count */
const writeLines = (count) =>
  writeFileSync(join(folder, 'lines.jsonl'), `${JSON.stringify({ prompt: 'a fox', seed: 1, count })}\n`);

/** A plan's time and CPU once everything runs: of two lengths of a batch the difference. @param {string[]} more */
async function aPlan(...more) {
  writeLines(2);
  await runBatch(...more);
  const short = await runBatch(...more);
  writeLines(PLANS + 2);
  const long = await runBatch(...more);
  return { ms: (long.ms - short.ms) / PLANS, cpuMs: (long.cpuMs - short.cpuMs) / PLANS };
}

async function endToEnd() {
  const near = await aPlan();
  const rows = [];
  for (const count of [1, 2, 4]) {
    const argv = ['worker', '--queue', URL_, '--device', 'cpu', '--threads', '1', '-q'];
    const workers = Array.from({ length: count }, () => sdgen(argv));
    await sleep(4000);
    const begin = workers.reduce((sum, { child }) => sum + cpuOf(child.pid), 0);
    const plan = await aPlan('--queue', URL_);
    // All plans of the three batches.
    const workersMs = (workers.reduce((sum, { child }) => sum + cpuOf(child.pid), 0) - begin) / (PLANS + 6);
    rows.push({ workers: count, ...plan, workersMs });
    for (const { child } of workers) child.kill('SIGTERM');
    await Promise.all(workers.map(({ ended }) => ended));
  }
  return { near, rows };
}

/** @template T @param {number} times @param {(i: number) => Promise<T>} work @returns {Promise<{ each: T[], ms: number, cpuMs: number }>} */
async function timed(times, work) {
  const each = [];
  const [start, cpu] = [performance.now(), process.cpuUsage()];
  for (let i = 0; i < times; i += 1) each.push(await work(i));
  const { user, system } = process.cpuUsage(cpu);
  return { each, ms: (performance.now() - start) / times, cpuMs: (user + system) / 1000 / times };
}

/** A plan as `--dry-run --json` prints it. */
async function somePlan() {
  const argv = ['txt2img', '-p', 'a fox in the snow', '-m', 'micro1', '--dry-run', '--json', '--precision', 'fp32'];
  const child = spawn(process.execPath, [join(ROOT, 'bin/sdgen.mjs'), ...argv], {
    cwd: folder,
    env: { ...process.env, HOME: folder },
  });
  let out = '';
  for await (const data of child.stdout) out += data;
  return JSON.parse(out).plan;
}

/** @param {import('ioredis').Redis} redis @param {string} name */
async function info(redis, name) {
  return Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(await redis.info())?.[1] ?? Number.NaN);
}

const round = (/** @type {number} */ value) => Number(value.toFixed(3));

/** Each step of a plan's way by itself, one after the other. */
async function steps() {
  const from = (/** @type {string} */ path) => import(join(ROOT, 'dist/fleet', path));
  const [{ connectQueue }, { Lane }, { encodeTask }, { encodeResult, decodeResult }, { QueueStore }] =
    await Promise.all(['connection.js', 'lane.js', 'task.js', 'result.js', 'stores/queue-store.js'].map(from));
  const redis = await connectQueue({ url: URL_ });
  await redis.flushall();
  const plan = await somePlan();
  const store = new QueueStore(redis);
  const lane = await Lane.open('bench', redis, { onCompleted: () => {}, onFailed: () => {}, onError: () => {} });
  const worker = new Worker('bench', null, { connection: redis, prefix: 'sdgen' });
  await worker.waitUntilReady();
  const [width, height] = [512, 512];
  const pixels = randomBytes(width * height * 3);
  const { createHash } = await import('node:crypto');
  const pixelSha256 = createHash('sha256').update(pixels).digest('hex');
  const image = {
    index: 0,
    seed: 1,
    width,
    height,
    pixels,
    pixelSha256,
    latentSha256: pixelSha256,
    retriedInFp32: false,
  };
  const hash = 'ab'.repeat(32);
  const result = {
    ...{ plan: hash, worker: 'bench', device: { name: 'cpu', precision: 'fp32', isa: 'avx2' } },
    times: { load: 0, encode: 0, sample: 0, decode: 0, total: 0 },
    images: [{ ...image, trail: undefined }],
  };
  const task = encodeTask({ plan, previewEvery: 0, earlyEnd: false, store: null });
  const before = { memory: await info(redis, 'used_memory') };
  const cpu = async () => (await info(redis, 'used_cpu_user')) + (await info(redis, 'used_cpu_sys'));
  const net = async () => (await info(redis, 'total_net_input_bytes')) + (await info(redis, 'total_net_output_bytes'));
  const [cpuBefore, netBefore] = [await cpu(), await net()];
  const enqueue = await timed(PLANS, (i) => lane.add(`task-${i}`, task, 10));
  const memory = ((await info(redis, 'used_memory')) - before.memory) / PLANS;
  const fetch = await timed(PLANS, () => worker.getNextJob('token', { block: false }));
  const encode = await timed(Math.min(PLANS, 20), () => encodeResult(result));
  const [bytes] = encode.each;
  const put = await timed(PLANS, (i) => store.put(`results/task-${i}`, bytes));
  const receipt = { worker: 'bench', place: 'queue', bytes: bytes.length };
  const complete = await timed(PLANS, (i) => fetch.each[i].moveToCompleted(receipt, 'token', false));
  const get = await timed(PLANS, (i) => store.get(`results/task-${i}`));
  const decode = await timed(Math.min(PLANS, 20), () => decodeResult(bytes, hash));
  const remove = await timed(PLANS, async (i) => [
    await store.remove(`results/task-${i}`),
    await lane.remove(`task-${i}`),
  ]);
  const [cpuAfter, netAfter] = [await cpu(), await net()];
  const cpuStore = await cpu();
  await timed(PLANS, async (i) => {
    await store.put(`results/small-${i}`, bytes);
    await store.get(`results/small-${i}`);
    await store.remove(`results/small-${i}`);
  });
  const carried = ((await cpu()) - cpuStore) / PLANS;
  await worker.close();
  await lane.close();
  redis.disconnect();
  const all = { enqueue, fetch, encode, put, complete, get, decode, remove };
  return {
    steps: Object.entries(all).map(([name, { ms, cpuMs }]) => ({ name, ms: round(ms), cpuMs: round(cpuMs) })),
    resultBytes: bytes.length,
    redisCpuMsAPlan: round((1000 * (cpuAfter - cpuBefore)) / PLANS),
    redisCpuMsAResult: round(1000 * carried),
    redisBytesAWaitingPlan: Math.round(memory),
    networkBytesAPlan: Math.round((netAfter - netBefore) / PLANS),
  };
}

const redisServer = spawn(
  'redis-server',
  ['--port', String(PORT), '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'yes'],
  { stdio: 'ignore' },
);
try {
  mkdirSync(join(folder, 'models'));
  const model = join(folder, 'models', 'micro1.safetensors');
  if (!existsSync(model)) await makeTinyModel({ path: model, arch: 'micro1', dtype: 'F16', seed: 7, threads: 1 });
  await sleep(500);
  const single = await steps();
  const whole = await endToEnd();
  const report = { cpu: cpus()[0]?.model, cores: cpus().length, plans: PLANS, ...whole, steps: single };
  if (values.json) console.log(JSON.stringify(report, null, 2));
  else {
    console.log(`${report.cpu}, ${report.cores} threads; ${PLANS} plans of the tiny model, 64x64, 1 step`);
    console.log(`here alone: ${whole.near.ms.toFixed(1)} ms a plan, CPU ${whole.near.cpuMs.toFixed(1)} ms`);
    for (const { workers, ms, cpuMs, workersMs } of whole.rows) {
      const cpu = `CPU ${cpuMs.toFixed(1)} ms where the batch runs, ${workersMs.toFixed(1)} ms in workers`;
      console.log(`${workers} workers: ${ms.toFixed(1)} ms a plan, ${cpu}`);
    }
    console.log(`steps, a result of ${single.resultBytes} bytes (512x512, noise):`);
    for (const { name, ms, cpuMs } of single.steps) {
      console.log(`  ${name.padEnd(9)} ${ms.toFixed(2)} ms, of this process's CPU ${cpuMs.toFixed(2)} ms`);
    }
    console.log(
      `Redis: ${single.redisCpuMsAPlan} ms of CPU a plan (${single.redisCpuMsAResult} of them for the result's bytes),`,
    );
    console.log(
      `  ${single.redisBytesAWaitingPlan} bytes a waiting plan, ${single.networkBytesAPlan} bytes over the network a plan`,
    );
  }
} finally {
  for (const child of children) child.kill('SIGKILL');
  redisServer.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
}
