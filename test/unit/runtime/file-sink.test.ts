import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Destination, FileSink } from '../../../src/runtime/file-sink.js';

let cwd: string;
beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'sdgen-sink-'));
});
afterEach(() => rm(cwd, { recursive: true, force: true }));

const sink = (kind: Destination['kind'], path: string, force = false) => new FileSink({ kind, path }, { cwd, force });
const never = new AbortController().signal;
const pictures = (...seeds: number[]) =>
  seeds.map((seed, index) => ({ index, seed, format: 'png' as const, data: Buffer.from(`${seed}`) }));

describe('FileSink', () => {
  it('gives two runs at once different numbers', async () => {
    const runs = await Promise.all(
      [1, 2, 3].map((seed) => sink('folder', 'out').save(pictures(seed, seed), undefined, never)),
    );
    const names = runs.flatMap(({ paths }) => paths);
    expect(new Set(names).size).toBe(6);
    expect(await readdir(join(cwd, 'out'))).toHaveLength(6);
  });

  it('keeps numbers and grids that are there', async () => {
    await mkdir(join(cwd, 'out'));
    await writeFile(join(cwd, 'out/00041-x.jpg'), '');
    await writeFile(join(cwd, 'out/grid-0001.png'), '');
    const { paths, gridPath } = await sink('folder', 'out', true).save(pictures(7), Buffer.from('g'), never);
    expect([paths, gridPath]).toEqual([['out/00042-7.png'], 'out/grid-0002.png']);
  });

  it('checks every name beforehand', async () => {
    await writeFile(join(cwd, 'x-2.png'), '');
    await writeFile(join(cwd, 'y-grid.png'), '');
    await mkdir(join(cwd, 'z.png'));
    const check = (path: string, seeds: number[], grid = false, force = false) =>
      sink('file', path, force).check({ seeds, grid, format: 'png' });
    await check('x.png', [1]);
    await expect(check('x.png', [1, 2])).rejects.toThrow('x-2.png exists; use --force to replace it');
    await check('x.png', [1, 2], false, true);
    await check('y.png', [1]);
    await expect(check('y.png', [1], true)).rejects.toMatchObject({ code: 'E_EXISTS' });
    await expect(check('z.png', [1], false, true)).rejects.toThrow('cannot write z.png: it is a folder');
    await expect(check('x-2.png/a.png', [1])).rejects.toThrow(/is not a folder|not a folder/);
    await check('new/deep/a.png', [1]);
    expect((await readdir(cwd)).sort()).toEqual(['x-2.png', 'y-grid.png', 'z.png']);
  });

  it('does not touch a file that appears after the check', async () => {
    const files = sink('file', 'x.png');
    await files.check({ seeds: [1], grid: false, format: 'png' });
    await writeFile(join(cwd, 'x.png'), 'other');
    await expect(files.save(pictures(1), undefined, never)).rejects.toMatchObject({ code: 'E_EXISTS' });
    expect(await readFile(join(cwd, 'x.png'), 'utf8')).toBe('other');
  });

  it('keeps what is complete when a later picture fails, and says so', async () => {
    await writeFile(join(cwd, 'x-3.png'), 'other');
    await expect(sink('file', 'x.png').save(pictures(1, 2, 3), undefined, never)).rejects.toThrow(
      'x-3.png exists; use --force to replace it; 2 of 3 pictures are saved, the last as x-2.png',
    );
    expect((await readdir(cwd)).sort()).toEqual(['x-1.png', 'x-2.png', 'x-3.png']);
  });
});
