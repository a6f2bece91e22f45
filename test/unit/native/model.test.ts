import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { NativeError } from '../../../src/native/errors.js';
import { Model } from '../../../src/native/model.js';
import type { LoadEvent, NativeAddon, NativeJob, NativeModel, OpenOptions } from '../../../src/native/types.js';

const OPTIONS: OpenOptions = { path: 'm.safetensors', device: 'reference', precision: 'fp32', threads: 1 };

const coded = (code: string, message: string) => Object.assign(new Error(message), { code });

/** An addon whose one model does what `methods` say. */
function addonWith(methods: Partial<NativeModel>): NativeAddon {
  const refuse = () => {
    throw new Error('not part of this test');
  };
  const model = {
    describe: refuse,
    estimate: refuse,
    load: refuse,
    encodeText: refuse,
    sample: refuse,
    encode: refuse,
    resizeLatent: refuse,
  } as const;
  return {
    version: refuse,
    capabilities: refuse,
    deviceMemory: refuse,
    bench: refuse,
    probePeak: refuse,
    debugEval: refuse,
    debugCompare: refuse,
    openModel: async () => ({ ...model, decode: refuse, close: async () => undefined, ...methods }),
  };
}

/** A job that a test ends. */
function openJob<T>() {
  let settle: { resolve: (value: T) => void; reject: (error: unknown) => void } | undefined;
  let cancels = 0;
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject };
  });
  const cancel = () => {
    cancels++;
    settle?.reject(coded('E_CANCELLED', 'cancelled'));
  };
  return { job: { promise, cancel } satisfies NativeJob<T>, settle: () => settle, cancels: () => cancels };
}

describe('Model', () => {
  it('opens with the options it is given and turns refusals into NativeErrors with a stack from here', async () => {
    let given: OpenOptions | undefined;
    const addon: NativeAddon = {
      ...addonWith({}),
      openModel: (options) => {
        given = options;
        return Promise.reject(coded('E_IO', 'm.safetensors: no such file'));
      },
    };
    const error = await Model.open(addon, OPTIONS).catch((thrown: unknown) => thrown);
    expect(given).toBe(OPTIONS);
    expect(error).toBeInstanceOf(NativeError);
    expect(error).toMatchObject({ code: 'E_IO', message: 'm.safetensors: no such file' });
    expect(error instanceof Error && error.stack).toContain('model.test.ts');
  });

  it('passes requests and results through', async () => {
    const requests: unknown[] = [];
    const job =
      <T>(value: T) =>
      (request: unknown) => {
        requests.push(request);
        return { promise: Promise.resolve(value), cancel: () => undefined };
      };
    const text = { conditionings: [[{ data: new Float32Array(4), tokens: 2, width: 2 }]], profile: [] };
    const sampled = {
      latent: { data: new Float32Array(4), batch: 1, channels: 4, height: 1, width: 1 },
      profile: [],
    };
    const decoded = { images: [], profile: [] };
    const methods = { encodeText: job(text), sample: job(sampled), decode: job(decoded) };
    const model = await Model.open(addonWith(methods), OPTIONS);
    const encode = { groups: [], clipSkip: 1, restoreMean: true };
    const [sample, decode] = [{} as never, { latent: sampled.latent }];
    expect(await model.encodeText(encode)).toBe(text);
    expect(await model.sample(sample)).toBe(sampled);
    expect(await model.decode(decode)).toBe(decoded);
    expect(requests).toEqual([encode, sample, decode]);
    expect(await model.close()).toBeUndefined();
  });

  it('gives listeners the events', async () => {
    const events: LoadEvent[] = [];
    const event = { loadedBytes: 1, totalBytes: 2 };
    const load: NativeModel['load'] = (onProgress) => {
      onProgress?.(event);
      return { promise: Promise.resolve(), cancel: () => undefined };
    };
    const model = await Model.open(addonWith({ load }), OPTIONS);
    await model.load({ onProgress: (told) => events.push(told) });
    await model.load();
    expect(events).toEqual([event]);
  });

  it('turns what describe and estimate throw into NativeErrors', async () => {
    const closed = () => {
      throw coded('E_CLOSED', 'the model is closed');
    };
    const model = await Model.open(addonWith({ describe: closed, estimate: closed }), OPTIONS);
    for (const call of [() => model.describe(), () => model.estimate({} as never)]) {
      expect(call).toThrow(NativeError);
      expect(call).toThrow(expect.objectContaining({ code: 'E_CLOSED' }));
    }
  });

  it('starts nothing when the signal is aborted already', async () => {
    let started = false;
    const load = () => {
      started = true;
      return openJob<void>().job;
    };
    const model = await Model.open(addonWith({ load }), OPTIONS);
    const reason = new Error('changed my mind');
    const call = model.load({ signal: AbortSignal.abort(reason) });
    await expect(call).rejects.toMatchObject({ code: 'E_CANCELLED', cause: reason });
    expect(started).toBe(false);
  });

  it('cancels the job when the signal aborts, and lets go of the signal', async () => {
    const { job, cancels } = openJob<void>();
    const model = await Model.open(addonWith({ load: () => job }), OPTIONS);
    const controller = new AbortController();
    const call = model.load({ signal: controller.signal });
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(1);
    controller.abort('enough');
    await expect(call).rejects.toMatchObject({ name: 'NativeError', code: 'E_CANCELLED', cause: 'enough' });
    expect(cancels()).toBe(1);
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
  });

  it('lets go of the signal after success and failure, and a later abort does nothing', async () => {
    for (const end of ['resolve', 'reject'] as const) {
      const { job, settle, cancels } = openJob<void>();
      const model = await Model.open(addonWith({ load: () => job }), OPTIONS);
      const controller = new AbortController();
      const call = model.load({ signal: controller.signal });
      if (end === 'resolve') settle()?.resolve();
      else settle()?.reject(coded('E_NON_FINITE', 'NaN'));
      const code = await call.then(
        () => 'done',
        (error: unknown) => error instanceof NativeError && error.code,
      );
      expect(code).toBe(end === 'resolve' ? 'done' : 'E_NON_FINITE');
      expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
      controller.abort();
      expect(cancels()).toBe(0);
    }
  });

  it("ends with a listener's own error, not with a native one", async () => {
    const load: NativeModel['load'] = (onProgress) => {
      const promise = Promise.resolve().then(() => onProgress?.({ loadedBytes: 0, totalBytes: 1 }));
      return { promise, cancel: () => undefined };
    };
    const model = await Model.open(addonWith({ load }), OPTIONS);
    const mine = new RangeError('mine');
    const call = model.load({
      onProgress: () => {
        throw mine;
      },
    });
    expect(await call.catch((error: unknown) => error)).toBe(mine);
  });
});
