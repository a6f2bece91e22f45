import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Capabilities, DeviceInfo } from '../../../src/native/types.js';
import { resolveDevice } from '../../../src/runtime/device.js';
import { availableMemory, formatBytes, requireMemory, roomOn } from '../../../src/runtime/memory.js';
import { Metrics } from '../../../src/runtime/metrics.js';
import { ProfileSum } from '../../../src/runtime/profile.js';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'sdgen-memory-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function put(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
}

const MEMINFO = { 'proc/meminfo': 'MemTotal:  9000 kB\nMemFree: 10 kB\nMemAvailable:    5000 kB\n' };

describe('availableMemory', () => {
  it('is unknown where nothing is said, and MemAvailable without a limit', async () => {
    expect(await availableMemory(root)).toBeUndefined();
    await put({ ...MEMINFO, 'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/memory.max': 'max\n' });
    expect(await availableMemory(root)).toBe(5000 * 1024);
  });

  it('obeys the limit of every group above the process, page cache not counted', async () => {
    await put({
      ...MEMINFO,
      'proc/self/cgroup': '0::/a/b\n',
      'sys/fs/cgroup/a/b/memory.max': 'max\n',
      'sys/fs/cgroup/a/b/memory.current': '5\n',
      'sys/fs/cgroup/a/memory.max': '1000000\n',
      'sys/fs/cgroup/a/memory.current': '900000\n',
      'sys/fs/cgroup/a/memory.stat': 'anon 1\ninactive_file 50000\n',
    });
    expect(await availableMemory(root)).toBe(150_000);
  });

  it('knows the older groups too', async () => {
    await put({
      ...MEMINFO,
      'proc/self/cgroup': '5:cpu,memory:/x\n',
      'sys/fs/cgroup/memory/x/memory.limit_in_bytes': '3000\n',
      'sys/fs/cgroup/memory/x/memory.usage_in_bytes': '4000\n',
    });
    expect(await availableMemory(root)).toBe(0);
  });

  it('finds something here', async () => {
    expect(await availableMemory()).toBeGreaterThan(1e6);
  });
});

describe('requireMemory', () => {
  it('counts what is not there yet', () => {
    const need = { engineBytes: 100, loadedBytes: 60, pictureBytes: 10 };
    const never = () => {
      throw new Error('asked without need');
    };
    expect(() => requireMemory(need, { host: 50 }, never)).not.toThrow();
    expect(() => requireMemory(need, { host: undefined }, never)).not.toThrow();
    const shortage = 'this needs 50 B of memory and 49 B is available';
    const refused = (message: string) => expect.objectContaining({ code: 'E_OUT_OF_MEMORY', message });
    expect(() => requireMemory(need, { host: 49 }, ({ host }) => [`${host}`, 'more'])).toThrow(
      refused(`${shortage}; it would fit with 49, or more`),
    );
    expect(() => requireMemory(need, { host: 49 }, () => [])).toThrow(
      refused(`${shortage}, too little for any size: free memory, or take a smaller model or precision`),
    );
  });

  it('counts weights and arena where the device has them, and pictures on the host', () => {
    const need = { engineBytes: 100, loadedBytes: 60, pictureBytes: 10 };
    const on = (free: number, host: number | undefined) => () =>
      requireMemory(need, { host, device: { name: 'cuda:1', free } }, () => ['less']);
    expect(on(40, 10)).not.toThrow();
    expect(on(40, undefined)).not.toThrow();
    expect(on(39, 1000)).toThrow(/^this needs 40 B of memory on cuda:1 and 39 B is available; it would fit with less$/);
    expect(on(1000, 9)).toThrow(/^this needs 10 B of memory and 9 B is available/);
  });

  it("asks a card for its free memory, and takes the host's where it does not answer", async () => {
    const rows = [
      { name: 'cuda' as const, freeBytes: 5, totalBytes: 9 },
      { name: 'cuda:1' as const, freeBytes: 7, totalBytes: 9 },
    ];
    const host = async () => 100;
    const never = () => Promise.reject(new Error('asked without need'));
    expect(await roomOn('cuda:1', host, async () => rows)).toEqual({ host: 100, device: { name: 'cuda:1', free: 7 } });
    expect(await roomOn('cuda', host, async () => [])).toEqual({ host: 100 });
    expect(await roomOn('cuda', host, () => Promise.reject(new Error('it is lost')))).toEqual({ host: 100 });
    expect(await roomOn('cpu', host, never)).toEqual({ host: 100 });
    expect(await roomOn('cuda', host, undefined)).toEqual({ host: 100 });
  });

  it('prints sizes in powers of ten', () => {
    expect([0, 999, 1000, 2.13e9, 1e18, 1e21].map(formatBytes)).toEqual([
      '0 B',
      '999 B',
      '1.0 kB',
      '2.1 GB',
      '1000.0 PB',
      '1000000.0 PB',
    ]);
  });
});

describe('resolveDevice', () => {
  const device = (name: DeviceInfo['name'], ...precisions: DeviceInfo['precisions']): DeviceInfo => ({
    name,
    precisions,
    description: name,
    isa: 'x',
    missing: '',
  });
  const build = (...devices: DeviceInfo[]): Capabilities => ({
    version: '1',
    samplers: [],
    noiseSources: [],
    families: [],
    devices,
  });
  const auto = { device: 'auto', precision: 'auto' };

  it('takes the best device of the build and the fastest precision of its hardware', () => {
    const reference = device('reference', 'fp32');
    expect(resolveDevice(auto, build(reference))).toMatchObject({ name: 'reference', precision: 'fp32' });
    const both = build(reference, device('cpu', 'fp32', 'bf16'));
    expect(resolveDevice(auto, both)).toMatchObject({ name: 'cpu', precision: 'bf16' });
    expect(resolveDevice({ ...auto, precision: 'fp32' }, both)).toMatchObject({ name: 'cpu', precision: 'fp32' });
    expect(resolveDevice({ ...auto, device: 'reference' }, both)).toMatchObject({ precision: 'fp32' });
    expect(resolveDevice({ device: 'cpu', precision: 'bf16' }, both)).toMatchObject({ name: 'cpu', precision: 'bf16' });
    expect(resolveDevice(auto, build(device('cuda', 'fp16')))).toMatchObject({ name: 'cuda', precision: 'fp16' });
    // The last one is the fastest: a processor may multiply bf16 at half of the speed of fp32.
    const slow = build(reference, device('cpu', 'bf16', 'fp32'));
    expect(resolveDevice(auto, slow)).toMatchObject({ name: 'cpu', precision: 'fp32' });
    expect(resolveDevice({ ...auto, precision: 'bf16' }, slow)).toMatchObject({ precision: 'bf16' });
  });

  it('says why a precision is not to be had, and takes no other instead', () => {
    const cpu = { ...device('cpu', 'fp32'), missing: 'needs a processor that multiplies it' };
    expect(() => resolveDevice({ ...auto, precision: 'bf16' }, build(cpu))).toThrow(
      'precision bf16 needs a processor that multiplies it; to be had: fp32',
    );
    expect(() => resolveDevice({ ...auto, precision: 'fp16' }, build(cpu))).toThrow(
      'precision fp16 is known, but not built',
    );
    expect(resolveDevice(auto, build(cpu))).toMatchObject({ name: 'cpu', precision: 'fp32' });
  });

  it('says what auto could not take, and refuses it by its reason where it is asked for', () => {
    const cuda = { ...device('cuda'), missing: 'there is no NVIDIA driver' };
    const here = build(device('cpu', 'fp32'), cuda);
    expect(resolveDevice(auto, here)).toMatchObject({
      name: 'cpu',
      passedOver: 'cuda cannot be used: there is no NVIDIA driver',
    });
    expect(resolveDevice({ ...auto, device: 'cpu' }, here).passedOver).toBeUndefined();
    expect(() => resolveDevice({ ...auto, device: 'cuda' }, here)).toThrow(
      'device cuda cannot be used: there is no NVIDIA driver',
    );
  });

  it('takes a card by its number', () => {
    const cards = build(device('cpu', 'fp32'), device('cuda', 'fp32'), device('cuda:1', 'fp32'));
    expect(resolveDevice(auto, cards)).toMatchObject({ name: 'cuda' });
    expect(resolveDevice({ ...auto, device: 'cuda:0' }, cards)).toMatchObject({ name: 'cuda' });
    expect(resolveDevice({ ...auto, device: 'cuda:1' }, cards)).toMatchObject({ name: 'cuda:1' });
    expect(() => resolveDevice({ ...auto, device: 'cuda:2' }, cards)).toThrow(
      'there is no device cuda:2 in this machine',
    );
    expect(() => resolveDevice({ ...auto, device: 'cuda:1' }, build(device('cpu', 'fp32')))).toThrow(
      'device cuda:1 is known, but not built into this sdgen (`npm run build:cuda` makes a build that has it)',
    );
    expect(() => resolveDevice({ ...auto, device: 'cuda:x' }, cards)).toThrow('"cuda:x" is not');
  });

  it('never takes another instead', () => {
    const only = build(device('reference', 'fp32'));
    expect(() => resolveDevice({ ...auto, device: 'cpu' }, only)).toThrow('device cpu is known, but not built');
    expect(() => resolveDevice({ ...auto, device: 'CPU' }, only)).toThrow('CPU is not; did you mean cpu?');
    expect(() => resolveDevice({ ...auto, precision: 'fp16' }, only)).toThrow('precision fp16 is known, but not built');
    expect(() => resolveDevice({ ...auto, precision: 'fp64' }, only)).toThrow(
      'fp64 is not; did you mean fp32 or fp16?',
    );
    expect(() => resolveDevice(auto, build())).toThrow('this build has no device');
    expect(() => resolveDevice(auto, build(device('cpu')))).toThrow('device cpu has no precision');
  });
});

describe('Metrics', () => {
  it('adds up the time of each phase, also of those that fail', async () => {
    let now = 1000;
    const metrics = new Metrics(() => now);
    const work = (milliseconds: number) => async () => {
      now += milliseconds;
    };
    await metrics.time('sample', work(500));
    await metrics.time('sample', work(250));
    await expect(
      metrics.time('save', async () => {
        now += 100;
        throw new Error('x');
      }),
    ).rejects.toThrow('x');
    expect(metrics.times()).toEqual({ load: 0, encode: 0, sample: 0.75, decode: 0, save: 0.1, total: 0.85 });
  });
});

describe('ProfileSum', () => {
  it('has one row for each kind of op in each part, slowest first', () => {
    const sum = new ProfileSum();
    const row = { op: 'linear', calls: 1, seconds: 1, flops: 2e9, bytes: 8 };
    sum.add([{ part: 'unet', ...row }]);
    sum.add([
      { part: 'unet', ...row, seconds: 2 },
      { part: 'vae', ...row, seconds: 0 },
      { part: 'text', ...row, seconds: 7 },
    ]);
    expect(sum.rows()).toEqual([
      { part: 'text', ...row, seconds: 7, share: 0.7, gflops: 2 / 7 },
      { part: 'unet', op: 'linear', calls: 2, seconds: 3, flops: 4e9, bytes: 16, share: 0.3, gflops: 4 / 3 },
      { part: 'vae', ...row, seconds: 0, share: 0, gflops: 0 },
    ]);
    expect(new ProfileSum().rows()).toEqual([]);
  });
});
