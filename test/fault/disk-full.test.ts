import type { FileHandle } from 'node:fs/promises';
import { readdir, stat, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CliSandbox } from '../support/cli.js';
import { createFakeEngine } from '../support/fake-native.js';

/** Bytes that pictures' temporary files, and the journals of batches, take before the disk is full. */
const disk = vi.hoisted(() => ({ room: Number.POSITIVE_INFINITY, journal: Number.POSITIVE_INFINITY }));

vi.mock('node:fs/promises', async (importOriginal) => {
  const actual = await importOriginal<typeof import('node:fs/promises')>();
  const full = (handle: FileHandle, which: keyof typeof disk): FileHandle => {
    const writeFile = handle.writeFile.bind(handle);
    handle.writeFile = async (data, options) => {
      const bytes = Buffer.from(data as Uint8Array);
      if (bytes.length <= disk[which]) {
        disk[which] -= bytes.length;
        return writeFile(bytes, options);
      }
      await writeFile(bytes.subarray(0, disk[which]));
      throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    };
    return handle;
  };
  return {
    ...actual,
    open: async (...args: Parameters<typeof actual.open>) => {
      const handle = await actual.open(...args);
      if (String(args[0]).endsWith('.journal.jsonl')) return full(handle, 'journal');
      return String(args[0]).endsWith('.tmp') ? full(handle, 'room') : handle;
    },
  };
});

let box: CliSandbox;
beforeEach(async () => {
  box = await CliSandbox.create({ 'one.safetensors': 'weights' });
});
afterEach(() => {
  Object.assign(disk, { room: Number.POSITIVE_INFINITY, journal: Number.POSITIVE_INFINITY });
  return box.remove();
});

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

describe('a disk that is full in the middle of a batch', () => {
  const names = async (): Promise<string[]> =>
    (await readdir(box.path('out'))).filter((name) => !name.endsWith('.jsonl')).sort();
  const batch = (...flags: string[]) => {
    const size = ['--width', '64', '--height', '64', '--steps', '1'];
    const argv = ['batch', 'lines.jsonl', '-m', 'one', ...size, '-o', 'out', '-q', ...flags];
    return box.run(argv, { addon: createFakeEngine().addon });
  };
  const lines = () => writeFile(box.path('lines.jsonl'), '{"prompt": "a", "seed": 1, "count": 12}\n');

  it.each([
    ['for pictures', { room: 4000 }],
    ['for the journal', { journal: 3000 }],
  ])('ends it in one line and loses nothing: %s', async (_what, room) => {
    await lines();
    Object.assign(disk, room);
    const { code, err, out } = await batch();
    const done = out.trim().split('\n').length;
    expect(done).toBeGreaterThan(0);
    expect(done).toBeLessThan(12);
    expect({ code, lines: err.trim().split('\n').length }).toEqual({ code: 1, lines: 1 });
    expect(err).toMatch(
      /^error: cannot write .*: the disk is full; \d+ of 12 items are done; resume with: sdgen batch /,
    );
    const kept = await names();
    // Where the journal has no room for a picture's end its file may be there already.
    expect(kept.length - done).toBeLessThanOrEqual(1);
    expect(kept.every((name) => /^\d{5}-\d+\.png$/.test(name))).toBe(true);
    const before = await Promise.all(kept.map((name) => stat(box.path('out', name))));

    Object.assign(disk, { room: Number.POSITIVE_INFINITY, journal: Number.POSITIVE_INFINITY });
    const resumed = await batch('--resume');
    expect(resumed).toMatchObject({ code: 0, err: expect.stringContaining(`12 items: ${12 - kept.length} made, `) });
    expect(await names()).toHaveLength(12);
    const after = await Promise.all(kept.map((name) => stat(box.path('out', name))));
    expect(after.map(({ ino }) => ino)).toEqual(before.map(({ ino }) => ino));
  });
});
