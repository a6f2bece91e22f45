import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ioError, makeFolder, writeFileAtomic } from '../../../src/image/atomic-write.js';
import { FailureError } from '../../../src/request/errors.js';

vi.mock('node:fs/promises', async (original) => ({ ...(await original<typeof fs>()) }));

const NEW = Buffer.from('new');
let folder: string;
beforeEach(async () => {
  folder = await fs.mkdtemp(join(tmpdir(), 'sdgen-write-'));
});
afterEach(async () => {
  vi.restoreAllMocks();
  await fs.rm(folder, { recursive: true });
});

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: something, write`), { code });
}

/** Makes one method of every file opened from now on fail. */
function breakFiles(method: 'writeFile' | 'sync', code: string, whenFlag: string): void {
  const open = fs.open;
  vi.spyOn(fs, 'open').mockImplementation(async (path, flags, mode) => {
    const handle = await open(path, flags, mode);
    if (flags === whenFlag) vi.spyOn(handle, method).mockRejectedValue(systemError(code));
    return handle;
  });
}

async function expectFailure(action: Promise<void>, code: string, message: string): Promise<void> {
  const error = await action.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(FailureError);
  expect(error).toMatchObject({ code, message });
}

describe('writeFileAtomic', () => {
  it('writes a new file and leaves nothing else', async () => {
    const path = join(folder, 'x.png');
    await writeFileAtomic(path, NEW, { force: false });
    expect(await fs.readFile(path, 'utf8')).toBe('new');
    expect(await fs.readdir(folder)).toEqual(['x.png']);
    const { mode } = await fs.stat(path);
    expect(mode & 0o777).toBe(0o666 & ~process.umask());
  });

  it('replaces a file only by force', async () => {
    const path = join(folder, 'x.png');
    await fs.writeFile(path, 'old');
    await expectFailure(
      writeFileAtomic(path, NEW, { force: false }),
      'E_EXISTS',
      `${path} exists; use --force to replace it`,
    );
    expect(await fs.readFile(path, 'utf8')).toBe('old');
    await writeFileAtomic(path, NEW, { force: true });
    expect(await fs.readFile(path, 'utf8')).toBe('new');
    expect(await fs.readdir(folder)).toEqual(['x.png']);
  });

  it('lets exactly one of many writers have a name, with its whole content', async () => {
    const path = join(folder, 'x.png');
    const writers = Array.from({ length: 16 }, (_, i) =>
      writeFileAtomic(path, Buffer.alloc(50_000, i + 1), { force: false }),
    );
    const results = await Promise.allSettled(writers);
    const winner = results.findIndex(({ status }) => status === 'fulfilled');
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect((await fs.readFile(path)).equals(Buffer.alloc(50_000, winner + 1))).toBe(true);
    expect(await fs.readdir(folder)).toEqual(['x.png']);
  });

  it.each([
    ['ENOSPC', 'the disk is full'],
    ['EDQUOT', 'the disk quota is used up'],
    ['EIO', 'the disk reports an error'],
    ['EXOTIC', 'EXOTIC: something, write'],
  ])('says that %s is "%s" and removes its temporary file', async (code, why) => {
    const path = join(folder, 'x.png');
    for (const method of ['writeFile', 'sync'] as const) {
      breakFiles(method, code, 'wx');
      await expectFailure(writeFileAtomic(path, NEW, { force: false }), 'E_IO', `cannot write ${path}: ${why}`);
      expect(await fs.readdir(folder)).toEqual([]);
      vi.restoreAllMocks();
    }
  });

  it('keeps the old file when replacing it fails', async () => {
    const path = join(folder, 'x.png');
    await fs.writeFile(path, 'old');
    vi.spyOn(fs, 'rename').mockRejectedValue(systemError('EACCES'));
    await expectFailure(writeFileAtomic(path, NEW, { force: true }), 'E_IO', `cannot write ${path}: permission denied`);
    expect(await fs.readFile(path, 'utf8')).toBe('old');
    expect(await fs.readdir(folder)).toEqual(['x.png']);
  });

  it('takes the name another way where there are no hard links', async () => {
    const path = join(folder, 'x.png');
    vi.spyOn(fs, 'link').mockRejectedValue(systemError('EPERM'));
    await writeFileAtomic(path, NEW, { force: false });
    expect(await fs.readFile(path, 'utf8')).toBe('new');
    await expectFailure(
      writeFileAtomic(path, Buffer.from('other'), { force: false }),
      'E_EXISTS',
      `${path} exists; use --force to replace it`,
    );
    expect(await fs.readFile(path, 'utf8')).toBe('new');
    vi.spyOn(fs, 'rename').mockRejectedValue(systemError('EIO'));
    const second = join(folder, 'y.png');
    await expectFailure(
      writeFileAtomic(second, NEW, { force: false }),
      'E_IO',
      `cannot write ${second}: the disk reports an error`,
    );
    expect(await fs.readdir(folder)).toEqual(['x.png']);
  });

  it('passes over folders that cannot be flushed, but not over a failing disk', async () => {
    breakFiles('sync', 'EINVAL', 'r');
    await writeFileAtomic(join(folder, 'x.png'), NEW, { force: false });
    vi.restoreAllMocks();
    breakFiles('sync', 'EIO', 'r');
    const path = join(folder, 'y.png');
    await expectFailure(
      writeFileAtomic(path, NEW, { force: false }),
      'E_IO',
      `cannot write ${path}: the disk reports an error`,
    );
  });

  it('reports a temporary file that cannot be removed', async () => {
    vi.spyOn(fs, 'rm').mockRejectedValueOnce(systemError('EIO'));
    await expect(writeFileAtomic(join(folder, 'x.png'), NEW, { force: false })).rejects.toThrow(
      /^cannot remove the temporary file .*\.tmp: the disk reports an error$/,
    );
  });

  it('reports both when writing and cleaning up fail', async () => {
    breakFiles('writeFile', 'ENOSPC', 'wx');
    vi.spyOn(fs, 'rm').mockRejectedValueOnce(systemError('EIO'));
    await expect(writeFileAtomic(join(folder, 'x.png'), NEW, { force: false })).rejects.toThrow(
      /^cannot write .*x\.png: the disk is full; cannot remove the temporary file .*: the disk reports an error$/,
    );
  });

  it('refuses to put a file in the place of a folder or a device', async () => {
    const path = join(folder, 'inner');
    await fs.mkdir(path);
    await expectFailure(writeFileAtomic(path, NEW, { force: true }), 'E_IO', `cannot write ${path}: it is a folder`);
    await expectFailure(
      writeFileAtomic('/dev/null', NEW, { force: true }),
      'E_IO',
      'cannot write /dev/null: it is not a regular file',
    );
  });

  it.each([true, false])('names a folder that is missing or no folder (force %s)', async (force) => {
    const missing = join(folder, 'none', 'x.png');
    await expectFailure(
      writeFileAtomic(missing, NEW, { force }),
      'E_IO',
      `cannot write ${missing}: no such file or folder`,
    );
    await fs.writeFile(join(folder, 'file'), '');
    const below = join(folder, 'file', 'x.png');
    await expectFailure(
      writeFileAtomic(below, NEW, { force }),
      'E_IO',
      `cannot write ${below}: a part of the path is not a folder`,
    );
  });
});

describe('makeFolder', () => {
  it('makes folders, and says when a file is in the way', async () => {
    await makeFolder(join(folder, 'a', 'b'));
    await makeFolder(join(folder, 'a', 'b'));
    expect(await fs.readdir(join(folder, 'a'))).toEqual(['b']);
    await fs.writeFile(join(folder, 'file'), '');
    const path = join(folder, 'file');
    await expectFailure(makeFolder(path), 'E_IO', `cannot make the folder ${path}: a file of that name is in the way`);
  });
});

describe('ioError', () => {
  it('passes its own kind through and takes anything else', () => {
    const own = new FailureError('E_X', 'x');
    expect(ioError(own, 'write', 'p')).toBe(own);
    expect(ioError('odd', 'write', 'p').message).toBe('cannot write p: odd');
  });
});
