import type { FileHandle } from 'node:fs/promises';
import { readdir } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CliSandbox } from '../support/cli.js';
import { createFakeEngine } from '../support/fake-native.js';

/** Bytes that a picture's temporary file takes before the disk is full. */
const disk = vi.hoisted(() => ({ room: Number.POSITIVE_INFINITY }));

vi.mock('node:fs/promises', async (importOriginal) => {
  const actual = await importOriginal<typeof import('node:fs/promises')>();
  const full = (handle: FileHandle): FileHandle => {
    const writeFile = handle.writeFile.bind(handle);
    handle.writeFile = async (data, options) => {
      const bytes = Buffer.from(data as Uint8Array);
      if (bytes.length <= disk.room) {
        disk.room -= bytes.length;
        return writeFile(bytes, options);
      }
      await writeFile(bytes.subarray(0, disk.room));
      throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    };
    return handle;
  };
  return {
    ...actual,
    open: async (...args: Parameters<typeof actual.open>) => {
      const handle = await actual.open(...args);
      return String(args[0]).endsWith('.tmp') ? full(handle) : handle;
    },
  };
});

let box: CliSandbox;
beforeEach(async () => {
  box = await CliSandbox.create({ 'one.safetensors': 'weights' });
});
afterEach(() => box.remove());

const base = [
  'txt2img',
  '-p',
  'x',
  '-m',
  'one',
  '--width',
  '64',
  '--height',
  '64',
  '--steps',
  '1',
  '--seed',
  '1',
  '-q',
];

describe('a full disk', () => {
  it('is told in one line, and leaves nothing half-written', async () => {
    disk.room = 100;
    const { code, out, err } = await box.run(base, { addon: createFakeEngine().addon });
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toMatch(/^error: cannot write .*outputs\/00001-1\.png: the disk is full\n$/);
    expect(await readdir(box.path('outputs'))).toEqual([]);
  });

  it('keeps the pictures that were complete', async () => {
    disk.room = Number.POSITIVE_INFINITY;
    await box.run([...base, '--output', 'first.png'], { addon: createFakeEngine().addon });
    disk.room = 2000;
    const { code, err } = await box.run([...base, '--count', '20'], { addon: createFakeEngine().addon });
    expect(code).toBe(1);
    const names = (await readdir(box.path('outputs'))).sort();
    expect(names.length).toBeGreaterThan(0);
    expect(names.every((name) => /^\d{5}-\d+\.png$/.test(name))).toBe(true);
    expect(err).toContain(
      `the disk is full; ${names.length} of 20 pictures are saved, the last as outputs/${names.at(-1)}`,
    );
  });

  it('does not harm a file that is to be replaced', async () => {
    disk.room = Number.POSITIVE_INFINITY;
    await box.run([...base, '--output', 'x.png'], { addon: createFakeEngine().addon });
    const before = JSON.parse((await box.run(['info', 'x.png', '--json'])).out);
    disk.room = 50;
    const { code } = await box.run([...base, '--seed', '2', '--output', 'x.png', '--force'], {
      addon: createFakeEngine().addon,
    });
    expect(code).toBe(1);
    expect(JSON.parse((await box.run(['info', 'x.png', '--json'])).out)).toEqual(before);
  });
});
