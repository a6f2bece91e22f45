import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadAddon } from '../../src/native/load.js';
import type {
  LoadEvent,
  ModelDescription,
  NativeAddon,
  NativeJob,
  NativeModel,
  OpenOptions,
  SampleRequest,
  StepEvent,
} from '../../src/native/types.js';
import { SAMPLERS } from '../../src/sampling/samplers.js';
import { ENDLESS, encodeRequest, openOptions, openTinyModel, sampleRequest } from '../support/native-model.js';

let addon: NativeAddon;
let options: OpenOptions;
let model: NativeModel;
let description: ModelDescription;

beforeAll(async () => {
  addon = await loadAddon();
  options = await openOptions();
  model = await addon.openModel(options);
  description = model.describe();
});
afterAll(() => model?.close());

const outcome = (promise: Promise<unknown>) =>
  promise.then(
    () => 'done',
    (error: unknown) => (error instanceof Error && Reflect.get(error, 'code')) || error,
  );

/** Resolves when the job has told its first step. */
function startedSample(on: NativeModel, request: SampleRequest) {
  let job: NativeJob<unknown> | undefined;
  const started = new Promise<void>((resolve) => {
    job = on.sample(request, () => resolve());
  });
  if (job === undefined) throw new Error('sample returned nothing');
  return { job, started };
}

describe('the exports', () => {
  it('are eight functions', () => {
    const functions = Object.entries(addon).map(([name, value]) => `${name}/${typeof value}`);
    expect(functions.sort()).toEqual([
      'bench/function',
      'capabilities/function',
      'debugCompare/function',
      'debugEval/function',
      'deviceMemory/function',
      'openModel/function',
      'probePeak/function',
      'version/function',
    ]);
    expect(addon.version()).toMatch(/^\d+\.\d+\.\d+/);
  });

  it('deviceMemory() has a row for each card, and none where there is none', async () => {
    const rows = await addon.deviceMemory().promise;
    const cards = addon
      .capabilities()
      .devices.filter(({ name, precisions }) => /^cuda/.test(name) && precisions.length > 0);
    expect(rows.map(({ name }) => name)).toEqual(cards.map(({ name }) => name));
    for (const { freeBytes, totalBytes } of rows) {
      expect(freeBytes).toBeGreaterThan(0);
      expect(totalBytes).toBeGreaterThanOrEqual(freeBytes);
    }
  });

  it('capabilities() lists what this build can do', () => {
    const { version, samplers, noiseSources, devices, families, ...rest } = addon.capabilities();
    expect(rest).toEqual({});
    expect(version).toBe(addon.version());
    // Both directions: the table that people see, and the loops that stand behind it, in the same order.
    expect(samplers).toEqual(SAMPLERS.map((sampler) => sampler.id));
    expect(noiseSources).toEqual(['philox', 'torch-cpu']);
    expect(families).toContain('sd1');
    expect(devices).toContainEqual({
      name: 'reference',
      description: expect.stringMatching(/\w/),
      precisions: expect.arrayContaining(['fp32']),
      isa: expect.stringMatching(/\w/),
      missing: '',
    });
  });

  it('the model has nine methods and no public constructor', async () => {
    const prototype = Object.getPrototypeOf(model);
    expect(Object.getOwnPropertyNames(prototype).sort()).toEqual(
      [
        'close',
        'constructor',
        'decode',
        'describe',
        'encode',
        'encodeText',
        'estimate',
        'load',
        'resizeLatent',
        'sample',
      ].sort(),
    );
    const empty: NativeModel = new prototype.constructor();
    expect(() => empty.describe()).toThrow('the model is closed');
    expect(await outcome(empty.load().promise)).toBe('E_CLOSED');
    await empty.close();
    expect(() => model.describe.call({} as NativeModel)).toThrow(TypeError);
  });
});

describe('describe and estimate', () => {
  it('tell the checkpoint as the types say', () => {
    const { text, unet, vae } = description;
    expect(description).toMatchObject({ path: options.path, family: 'sd1', latentChannels: 4, latentScale: 8 });
    expect(description.predictionType).toEqual({ value: 'epsilon', origin: expect.any(String) });
    expect(text.heads).toEqual({ value: 4, origin: 'metadata' });
    expect(description.dtypes).toEqual({ F16: expect.any(Number) });
    expect(Object.keys(description.parameters).sort()).toEqual(['text', 'unet', 'vae']);
    for (const count of [text.width, text.layers, text.vocabulary, unet.modelChannels, vae.channels]) {
      expect(count).toBeGreaterThan(0);
    }
    expect(unet.channelMultipliers.length).toBeGreaterThan(0);
    expect(vae.channelMultipliers.length).toBeGreaterThan(0);
    expect(Array.isArray(description.unusedTensors)).toBe(true);
    expect(description.renamed).toBeTypeOf('object');
  });

  it('take overrides as flags', async () => {
    const overrides = { predictionType: 'v_prediction', scaleFactor: 0.5 } as const;
    const other = await addon.openModel({ ...options, overrides });
    expect(other.describe().predictionType).toEqual({ value: 'v_prediction', origin: 'flag' });
    expect(other.describe().scaleFactor).toEqual({ value: 0.5, origin: 'flag' });
    await other.close();
  });

  it('give bytes and work of every part, more for more pixels', () => {
    const request = { latentHeight: 8, batch: 1, condTokens: 77, uncondTokens: 77, useUncond: true };
    const encoded = { latentWidth: 8, latentHeight: 8 };
    const [small, large] = [8, 32].map((latentWidth) => model.estimate({ ...request, latentWidth, encoded }));
    if (small === undefined || large === undefined) throw new Error('no estimate');
    for (const part of Object.values(small.parts)) {
      expect(Object.keys(part).sort()).toEqual(['arenaBytes', 'flops', 'liveBytes', 'weightBytes']);
      for (const value of Object.values(part)) expect(value).toBeGreaterThan(0);
    }
    expect(Object.keys(small.parts).sort()).toEqual(['encoder', 'text', 'unet', 'vae']);
    const { encoder } = model.estimate({ ...request, latentWidth: 8 }).parts;
    expect(Object.values(encoder)).toEqual([0, 0, 0, 0]);
    const tiling = { tile: 4, overlap: 2 };
    expect(() => model.estimate({ ...request, latentWidth: 8, encoded: { ...encoded, tiling } })).toThrow(/tiling/);
    expect(small.peakBytes).toBeGreaterThanOrEqual(small.weightBytes);
    expect(large.arenaBytes).toBeGreaterThan(small.arenaBytes);
  });

  it('answer while a run is under way', async () => {
    const { job, started } = startedSample(model, sampleRequest(description, ENDLESS));
    await started;
    const request = { latentWidth: 8, latentHeight: 8, batch: 1, condTokens: 77, uncondTokens: 77, useUncond: true };
    expect(model.estimate(request).peakBytes).toBeGreaterThan(0);
    expect(model.describe()).toEqual(description);
    job.cancel();
    expect(await outcome(job.promise)).toBe('E_CANCELLED');
  });
});

describe('the calls', () => {
  it('go from text to pixels, with events and profiles', async () => {
    const own = await openTinyModel();
    const loads: LoadEvent[] = [];
    expect(await own.load((event) => loads.push(event)).promise).toBeUndefined();
    expect(loads.at(-1)?.loadedBytes).toBe(loads.at(-1)?.totalBytes);
    expect(loads.at(-1)?.totalBytes).toBeGreaterThan(0);

    const text = await own.encodeText({ ...encodeRequest(description), profile: true }).promise;
    const [[conditioning] = []] = text.conditionings;
    if (conditioning === undefined) throw new Error('no conditioning');
    const { tokens, width, data } = conditioning;
    expect([tokens, width, data.length]).toEqual([77, description.unet.contextWidth, 77 * width]);
    expect(data).toBeInstanceOf(Float32Array);

    const steps: StepEvent[] = [];
    const seeds = [3, 2 ** 53 - 1];
    const conditionings = [conditioning, conditioning];
    const request = { ...sampleRequest(description, 5, seeds), conditionings, profile: true };
    const sampled = await own.sample(request, (event) => steps.push(event)).promise;
    expect({ ...sampled.latent, data: sampled.latent.data.length }).toEqual({
      data: 2 * 4 * 8 * 8,
      batch: 2,
      channels: 4,
      height: 8,
      width: 8,
    });
    expect(steps.map(({ step }) => step)).toEqual([...new Set(steps.map(({ step }) => step))].sort((a, b) => a - b));
    expect(steps.at(-1)).toMatchObject({ step: 5, steps: 5, evaluations: expect.any(Number) });

    const done: number[] = [];
    const decoded = await own.decode({ latent: sampled.latent, profile: true }, (count) => done.push(count)).promise;
    expect(done.at(-1)).toBe(2);
    expect(decoded.images.map(({ width: w, height: h, data: rgb }) => [w, h, rgb.length])).toEqual([
      [64, 64, 64 * 64 * 3],
      [64, 64, 64 * 64 * 3],
    ]);
    expect(decoded.images[0]?.data).toBeInstanceOf(Uint8Array);
    for (const [part, { profile }] of Object.entries({ text, unet: sampled, vae: decoded })) {
      expect(profile.length).toBeGreaterThan(0);
      for (const row of profile) {
        expect(Object.keys(row).sort()).toEqual(['bytes', 'calls', 'flops', 'op', 'part', 'seconds']);
        expect([row.part, row.calls > 0, row.seconds >= 0]).toEqual([part, true, true]);
      }
    }
    await own.close();
  });

  it('tell the whole trail when asked, however slow the listener is', async () => {
    const request = sampleRequest(description, 40, [3, 9]);
    const slow = (): void => {
      const end = performance.now() + 5;
      while (performance.now() < end);
    };
    const { trail = [], latent } = await model.sample({ ...request, trail: true }, slow).promise;
    expect(trail.map(({ step }) => step)).toEqual(Array.from({ length: 41 }, (_, step) => step));
    expect(
      trail.every(({ hashes }) => hashes.length === 2 && hashes.every((hash) => /^[0-9a-f]{16}$/.test(hash))),
    ).toBe(true);
    const [other, plain] = [await model.sample(request).promise, latent.data];
    expect(other.trail).toBeUndefined();
    expect(other.latent.data).toEqual(plain);
  });

  it('profile nothing unless asked', async () => {
    expect((await model.encodeText(encodeRequest(description)).promise).profile).toEqual([]);
  });

  it('run in the order they were made, each settling once', async () => {
    const order: string[] = [];
    const jobs = ['a', 'b', 'c'].map((name) => {
      const job = model.sample(sampleRequest(description, 2));
      const settled = job.promise.then(
        () => order.push(name),
        () => order.push(`${name} failed`),
      );
      return { job, settled };
    });
    await Promise.all(jobs.map(({ settled }) => settled));
    for (const { job } of jobs) job.cancel();
    await model.encodeText(encodeRequest(description)).promise;
    expect(order).toEqual(['a', 'b', 'c']);
  });

  it('tell no step after the promise, and skip some rather than pile up behind a slow listener', async () => {
    const seen: number[] = [];
    const job = model.sample(sampleRequest(description, 40), ({ step }) => {
      seen.push(step);
      const until = performance.now() + 30;
      while (performance.now() < until);
    });
    await job.promise;
    expect(seen.at(-1)).toBe(40);
    const count = seen.length;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(seen).toHaveLength(count);
    expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b));
  });

  it('carry a preview where it was asked for, past a slow listener too, and change nothing by it', async () => {
    const request = sampleRequest(description, 6, [1, 2]);
    const plain = await model.sample(request).promise;
    const steps: StepEvent[] = [];
    const result = await model.sample({ ...request, previewEvery: 3 }, (event) => steps.push(event)).promise;
    expect(result.latent).toEqual(plain.latent);
    const previews = steps.flatMap(({ preview }) => (preview === undefined ? [] : [preview]));
    // Euler's last step ends in the estimate itself. The first preview may have been overtaken by the second.
    expect(previews.at(-1)).toEqual(plain.latent);
    expect(steps.filter(({ step, preview }) => step < 3 && preview !== undefined)).toEqual([]);

    const slow: StepEvent[] = [];
    await model.sample({ ...sampleRequest(description, 40), previewEvery: 25 }, (event) => {
      slow.push(event);
      const until = performance.now() + 300;
      while (performance.now() < until);
    }).promise;
    expect(slow.length).toBeLessThan(20);
    expect(slow.filter(({ preview }) => preview !== undefined)).toHaveLength(1);
  });

  it('copy their arguments before they return', async () => {
    const request = sampleRequest(description, 3);
    const before = await model.sample(request).promise;
    const job = model.sample(request);
    request.conditionings[0]?.data.fill(9);
    request.sigmas.fill(1);
    expect((await job.promise).latent).toEqual(before.latent);
  });

  it("end with a listener's own error, and stop there", async () => {
    let calls = 0;
    const job = model.sample(sampleRequest(description, ENDLESS), () => {
      calls++;
      throw new RangeError('from the listener');
    });
    await expect(job.promise).rejects.toThrow(new RangeError('from the listener'));
    expect(calls).toBe(1);
    const other = model.sample(sampleRequest(description, ENDLESS), () => {
      throw 'no error object';
    });
    expect(await outcome(other.promise)).toBe('no error object');
  });
});

describe('cancelling', () => {
  it('ends a run under way and leaves the next alone', async () => {
    const { job, started } = startedSample(model, sampleRequest(description, ENDLESS));
    const next = model.sample(sampleRequest(description, 2));
    await started;
    job.cancel();
    job.cancel();
    expect(await outcome(job.promise)).toBe('E_CANCELLED');
    expect(await outcome(next.promise)).toBe('done');
  });

  it('takes a waiting call out at once, without running it', async () => {
    const { job, started } = startedSample(model, sampleRequest(description, ENDLESS));
    let ran = false;
    const waiting = model.sample(sampleRequest(description, 2), () => {
      ran = true;
    });
    await started;
    waiting.cancel();
    expect(await outcome(waiting.promise)).toBe('E_CANCELLED'); // while the first still runs
    expect(await Promise.race([outcome(job.promise), Promise.resolve('running')])).toBe('running');
    job.cancel();
    expect(await outcome(job.promise)).toBe('E_CANCELLED');
    expect(ran).toBe(false);
  });

  it('reaches load, encodeText and decode too', async () => {
    const { job, started } = startedSample(model, sampleRequest(description, ENDLESS));
    await started;
    const latent = { data: new Float32Array(256), batch: 1, channels: 4, height: 8, width: 8 };
    const jobs = [model.load(), model.encodeText(encodeRequest(description)), model.decode({ latent })];
    for (const waiting of [...jobs, job]) waiting.cancel();
    const outcomes = await Promise.all([...jobs, job].map(({ promise }) => outcome(promise)));
    expect(outcomes).toEqual(Array(4).fill('E_CANCELLED'));
  });
});

describe('two models', () => {
  it('run at once and do not disturb each other', async () => {
    const other = await openTinyModel();
    const [mine, theirs] = [sampleRequest(description, 6, [1]), sampleRequest(description, 6, [2])];
    const alone = [await model.sample(mine).promise, await other.sample(theirs).promise];
    const endless = startedSample(other, sampleRequest(description, ENDLESS));
    await endless.started;
    const during = await model.sample(mine).promise; // although the other is busy
    endless.job.cancel();
    expect(await outcome(endless.job.promise)).toBe('E_CANCELLED');
    const together = await Promise.all([model.sample(mine).promise, other.sample(theirs).promise]);
    expect([...together, during].map(({ latent }) => latent)).toEqual(
      [...alone, alone[0]].map((result) => result?.latent),
    );
    await other.close();
  });
});

describe('closing', () => {
  it('cancels what runs, refuses what waits and what comes after; twice is once', async () => {
    const own = await openTinyModel();
    const { job, started } = startedSample(own, sampleRequest(description, ENDLESS));
    const waiting = own.load();
    await started;
    const closed = Promise.all([own.close(), own.close()]);
    const late = own.load();
    const outcomes = await Promise.all([job, waiting, late].map(({ promise }) => outcome(promise)));
    expect(outcomes).toEqual(['E_CANCELLED', 'E_CLOSED', 'E_CLOSED']);
    expect(await closed).toEqual([undefined, undefined]);
    expect(await own.close()).toBeUndefined();

    expect(() => own.describe()).toThrow(expect.objectContaining({ code: 'E_CLOSED' }));
    expect(() => own.estimate({} as never)).toThrow(expect.objectContaining({ code: 'E_CLOSED' }));
    const latent = { data: new Float32Array(256), batch: 1, channels: 4, height: 8, width: 8 };
    const calls = [
      own.load(),
      own.encodeText(encodeRequest(description)),
      own.sample(sampleRequest(description, 1)),
      own.decode({ latent }),
    ];
    expect(await Promise.all(calls.map(({ promise }) => outcome(promise)))).toEqual(Array(4).fill('E_CLOSED'));
    for (const { cancel } of calls) cancel();
  });
});
