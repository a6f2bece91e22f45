import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cacheFolder, hashCheckpoint, shortHash } from '../../../src/checkpoints/hash.js';

let root: string;
let file: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'sdgen-hash-'));
  file = join(root, 'model');
  await writeFile(file, 'content');
});
afterEach(() => rm(root, { recursive: true, force: true }));

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const cache = (): string => join(root, 'cache', 'hashes.json');
const hash = () => hashCheckpoint(file, { cacheFolder: join(root, 'cache') });

describe('hashCheckpoint', () => {
  it('is the SHA-256 of the content', async () => {
    expect(await hashCheckpoint(file)).toBe(sha256('content'));
    expect(shortHash(sha256('content'))).toBe('ed7002b439');
  });

  it('reads a file once, until size or time change', async () => {
    await hash();
    const known = JSON.parse(await readFile(cache(), 'utf8'));
    known.files[file].sha256 = '0'.repeat(64);
    await writeFile(cache(), JSON.stringify(known));
    expect(await hash()).toBe('0'.repeat(64));
    await utimes(file, 1, 1);
    expect(await hash()).toBe(sha256('content'));
    await writeFile(file, 'other content');
    expect(await hash()).toBe(sha256('other content'));
    expect(await readdir(join(root, 'cache'))).toEqual(['hashes.json']);
  });

  it.each(['', 'no json', '{"version":2,"files":{}}', '{"version":1,"files":{"x":{"sha256":"short"}}}', '[]'])(
    'starts anew from the damaged cache %j',
    async (text) => {
      await mkdir(join(root, 'cache'));
      await writeFile(cache(), text);
      expect(await hash()).toBe(sha256('content'));
      expect(JSON.parse(await readFile(cache(), 'utf8')).version).toBe(1);
    },
  );

  it('warns when the cache cannot be written, and goes on', async () => {
    await writeFile(join(root, 'cache'), 'a file in the way');
    const warnings: string[] = [];
    const options = { cacheFolder: join(root, 'cache'), onWarning: (text: string) => warnings.push(text) };
    expect(await hashCheckpoint(file, options)).toBe(sha256('content'));
    expect(warnings).toEqual([expect.stringContaining('cannot remember')]);
  });

  it('stops when it is aborted', async () => {
    await truncate(file, 1 << 30);
    const controller = new AbortController();
    const promise = hashCheckpoint(file, { cacheFolder: join(root, 'cache'), signal: controller.signal });
    setTimeout(() => controller.abort(new Error('enough')), 5);
    await expect(promise).rejects.toThrow('enough');
    await expect(hashCheckpoint(file, { signal: controller.signal })).rejects.toThrow('enough');
    expect(await readdir(root)).not.toContain('cache');
  });

  it('refuses a file that grows meanwhile', async () => {
    await truncate(file, 64 << 20);
    const promise = hash();
    setTimeout(() => truncate(file, (64 << 20) + 1), 5);
    await expect(promise).rejects.toThrow(/changed while it was read/);
  });

  it('names a file that is not there', async () => {
    await expect(hashCheckpoint(join(root, 'none'))).rejects.toThrow(
      /cannot read the model .*none: there is no such file/,
    );
  });
});

it('cacheFolder follows XDG', () => {
  expect(cacheFolder({ XDG_CACHE_HOME: '/c', HOME: '/h' })).toBe('/c/sdgen');
  expect(cacheFolder({ HOME: '/h' })).toBe('/h/.cache/sdgen');
  expect(cacheFolder({})).toBeUndefined();
});
