import { spawn } from 'node:child_process';
import { beforeAll, expect, it } from 'vitest';
import { loadAddon } from '../../src/native/load.js';
import type { ModelDescription } from '../../src/native/types.js';
import { ADDON_PATH, ENDLESS, openOptions, openTinyModel } from '../support/native-model.js';

/** Longer than any of these runs needs; a child that still lives then hangs. */
const HUNG_MS = 30_000;

let description: ModelDescription;

beforeAll(async () => {
  const model = await openTinyModel();
  description = model.describe();
  await model.close();
});

/** What stands before every script: addon, options, endless and short requests, busy(model), sleep(ms). */
const PRELUDE = `
  const { path, options, contextWidth, endlessSteps } = JSON.parse(process.env.SETUP);
  const features = { data: new Float32Array(77 * contextWidth).fill(0.5), tokens: 77, width: contextWidth };
  const request = (steps) => ({
    latentWidth: 8, latentHeight: 8, seeds: [1], noiseSource: 'philox', sampler: 'euler',
    samplerOptions: { eta: 1, sChurn: 0, sTmin: 0, sTmax: Number.MAX_VALUE, sNoise: 1 },
    sigmas: Float32Array.from({ length: steps + 1 }, (_, i) => 14.6 * (1 - i / steps)),
    cfgScale: 7, conditionings: [features], parts: [{ weight: 1, stages: [{ until: 9, conditioning: 0 }] }],
    uncond: [{ until: 9, conditioning: 0 }],
  });
  const [endless, short] = [request(endlessSteps), request(3)];
  const addon = require(path);
  const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const busy = (model) => new Promise((resolve) => {
    model.sample(endless, () => resolve()).promise.catch((error) => console.log(error.code));
    model.sample(endless).promise.catch((error) => console.log(error.code));
  });`;

/** Runs an async script in a Node of its own. */
async function runAlone(script: string, ...flags: string[]) {
  const options = await openOptions();
  const { contextWidth } = description.unet;
  const setup = JSON.stringify({ path: ADDON_PATH, options, contextWidth, endlessSteps: ENDLESS });
  const env = { ...process.env, SETUP: setup, PRELUDE, NODE_V8_COVERAGE: undefined };
  const source = `${PRELUDE}\n(async () => {${script}})();`;
  const child = spawn(process.execPath, [...flags, '--eval', source], { env, timeout: HUNG_MS, killSignal: 'SIGKILL' });
  let output = '';
  child.stdout.on('data', (data) => {
    output += data;
  });
  let errors = '';
  child.stderr.on('data', (data) => {
    errors += data;
  });
  return new Promise<{ code: number | null; signal: string | null; output: string; errors: string }>((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal, output: output.trim(), errors }));
  });
}

/** Starts a worker thread on `body`; resolves when it has posted something. */
const IN_THREAD = `
  const { Worker } = require('node:worker_threads');
  const begin = (body) => new Worker(process.env.PRELUDE + ";(async () => {" + body + "})();", { eval: true });
  const thread = (body) => new Promise((resolve, reject) => {
    const worker = begin(body);
    worker.once('error', reject);
    worker.once('message', () => resolve(worker));
  });
  const start = "const { parentPort } = require('node:worker_threads'); const model = await addon.openModel(options);" +
    "const other = await addon.openModel(options); await Promise.all([busy(model), busy(other)]);";
`;

it('terminating a worker thread in mid-run joins its workers, again and again', async () => {
  const script = `${IN_THREAD}
    for (let round = 0; round < 8; round++) {
      const worker = await thread(start + 'parentPort.postMessage(0);');
      await sleep(round * 3);
      await worker.terminate();
    }
    console.log('ended', require('node:fs').readdirSync('/proc/self/task').length < 16);`;
  expect(await runAlone(script)).toMatchObject({ code: 0, signal: null, output: 'ended true', errors: '' });
});

it('terminating a worker thread while its listener runs', async () => {
  const listener = '() => { parentPort.postMessage(0); const end = Date.now() + 40; while (Date.now() < end); }';
  const script = `${IN_THREAD}
    for (let round = 0; round < 5; round++) {
      const worker = await thread(start + 'const third = await addon.openModel(options);' +
        'third.sample(endless, ${listener}).promise.catch(() => {});');
      await sleep(round * 15);
      await worker.terminate();
    }
    console.log('ended');`;
  const { code, signal, output } = await runAlone(script);
  expect([code, signal, output.split('\n').at(-1)]).toEqual([0, null, 'ended']);
});

it('process.exit() in a worker thread, and its uncaught errors, end it alone', async () => {
  const script = `${IN_THREAD}
    const mine = await addon.openModel(options);
    for (const end of ['process.exit(5)', 'setImmediate(() => { throw new Error("ended") })']) {
      // Listened to from the start: its end may overtake a message.
      const worker = begin(start + end);
      worker.on('error', (error) => console.log(error.message));
      await new Promise((resolve) => worker.on('exit', (code) => resolve(console.log(code))));
    }
    console.log((await mine.sample(short).promise).latent.batch);
    await mine.close();`;
  const { code, signal, output } = await runAlone(script);
  const lines = output.split('\n').filter((line) => !line.startsWith('E_'));
  expect([code, signal, lines]).toEqual([0, null, ['5', 'ended', '1', '1']]);
});

it('two environments share nothing: one ends, the run of the other goes on', async () => {
  const script = `${IN_THREAD}
    const mine = await addon.openModel(options);
    const alone = (await mine.sample(short).promise).latent.data.join();
    const job = mine.sample(endless);
    const worker = await thread(start + 'parentPort.postMessage(0);');
    await worker.terminate();
    console.log(await Promise.race([job.promise.catch((error) => error.code), sleep(50).then(() => 'running')]));
    job.cancel();
    await job.promise.catch((error) => console.log(error.code));
    console.log((await mine.sample(short).promise).latent.data.join() === alone);`;
  expect(await runAlone(script)).toMatchObject({ code: 0, signal: null, output: 'running\nE_CANCELLED\ntrue' });
});

it('process.exit() in mid-run ends the process with its code', async () => {
  for (const when of [
    'process.exit(7)',
    'await sleep(20); process.exit(7)',
    'addon.openModel(options); process.exit(7)',
  ]) {
    const script = `const model = await addon.openModel(options); await busy(model); ${when};`;
    expect(await runAlone(script), when).toMatchObject({ code: 7, signal: null, errors: '' });
  }
});

it('process.exit() from a listener, too', async () => {
  const script = `const model = await addon.openModel(options); model.sample(endless, () => process.exit(7));`;
  expect(await runAlone(script)).toMatchObject({ code: 7, signal: null, errors: '' });
});

it('an uncaught error in mid-run is an ordinary one', async () => {
  const script = `const model = await addon.openModel(options); await busy(model); throw new Error('mine');`;
  const { code, signal, errors } = await runAlone(script);
  expect([code, signal]).toEqual([1, null]);
  expect(errors).toContain('Error: mine');
});

it('a model that is open and idle does not keep the process', async () => {
  const script = `const model = await addon.openModel(options); await model.sample(short).promise; console.log('idle');
    globalThis.kept = model;`;
  expect(await runAlone(script)).toMatchObject({ code: 0, signal: null, output: 'idle', errors: '' });
});

it('a call under way keeps the process until it has settled', async () => {
  const script = `addon.openModel(options).then((model) => {
      model.sample(short).promise.then(({ latent }) => console.log(latent.batch));
    });`;
  expect(await runAlone(script)).toMatchObject({ code: 0, signal: null, output: '1', errors: '' });
});

it('models that nobody closed are joined when they are collected; a running one is kept', async () => {
  const script = `
    const threads = () => require('node:fs').readdirSync('/proc/self/task').length;
    let done = 0;
    const before = threads();
    for (let i = 0; i < 24; i++) {
      const model = await addon.openModel(options);
      if (i % 4 === 0) model.sample(short).promise.then(() => done++);
    }
    const deadline = Date.now() + 20_000;
    while ((threads() > before + 6 || done < 6) && Date.now() < deadline) { gc(); await sleep(10); }
    console.log(done, threads() <= before + 6);`;
  expect(await runAlone(script, '--expose-gc')).toMatchObject({ code: 0, signal: null, output: '6 true', errors: '' });
});

it('the addon of this process still works after all that', async () => {
  expect((await loadAddon()).capabilities().samplers.length).toBeGreaterThan(0);
});
