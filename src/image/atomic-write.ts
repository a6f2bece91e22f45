import { randomBytes } from 'node:crypto';
import { type FileHandle, link, lstat, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { FailureError } from '../request/errors.js';

export interface WriteOptions {
  /** Replace a file of that name; without it an existing one is an error. */
  readonly force: boolean;
  /** Put into the temporary file's name, so that what a killed process left can be told from others'. */
  readonly mark?: string | undefined;
}

/** Begins a temporary file's name; `mark` as in WriteOptions. */
export function temporaryPrefix(mark?: string): string {
  return mark === undefined ? '.sdgen-' : `.sdgen-${mark}-`;
}

/**
 * Writes a file that is either there as a whole or not at all: a temporary file in the same folder, flushed to the disk,
 * then given its name. The folder must exist. Without `force` a file of that name is never touched, even if it appears
 * while we write. Nothing is left behind on failure.
 * @throws FailureError E_EXISTS when the name is taken, else E_IO with what went wrong and where.
 */
export async function writeFileAtomic(path: string, data: Uint8Array, options: WriteOptions): Promise<void> {
  if (options.force) await refuseSpecial(path);
  const temporary = join(dirname(path), `${temporaryPrefix(options.mark)}${randomBytes(9).toString('hex')}.tmp`);
  const failure = await attempt(path, async () => {
    await writeSynced(temporary, data);
    if (options.force) await rename(temporary, path);
    else await giveName(temporary, path);
    await syncFolder(dirname(path));
  });
  const leftover = await removeTemporary(temporary);
  if (failure !== undefined && leftover !== undefined) {
    throw new FailureError(failure.code, `${failure.message}; ${leftover.message}`, { cause: failure });
  }
  if (failure !== undefined) throw failure;
  if (leftover !== undefined) throw leftover;
}

async function attempt(path: string, write: () => Promise<void>): Promise<FailureError | undefined> {
  try {
    await write();
    return undefined;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return exists(path, error);
    return ioError(error, 'write', path);
  }
}

async function removeTemporary(path: string): Promise<FailureError | undefined> {
  try {
    await rm(path, { force: true });
    return undefined;
  } catch (error) {
    // No folder, so no file in it.
    if (codeOf(error) === 'ENOTDIR') return undefined;
    return ioError(error, 'remove the temporary file', path);
  }
}

/** Makes a folder and those above it. @throws FailureError E_IO. */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (error) {
    throw ioError(error, 'make the folder', path);
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EROFS: 'the file system is read-only',
  ENOENT: 'no such file or folder',
  ENOTDIR: 'a part of the path is not a folder',
  EISDIR: 'it is a folder',
  EEXIST: 'a file of that name is in the way',
  ENAMETOOLONG: 'the name is too long',
  ELOOP: 'too many symbolic links',
  EMFILE: 'too many open files',
  ENFILE: 'too many open files',
  EFBIG: 'the file is too large for the file system',
  EIO: 'the disk reports an error',
  EBUSY: 'it is in use',
};

/** A system error as one sentence: "cannot write out/x.png: the disk is full". */
export function ioError(error: unknown, action: string, path: string): FailureError {
  if (error instanceof FailureError) return error;
  const code = codeOf(error);
  const detail = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
  const why = (code === undefined ? undefined : REASONS[code]) ?? detail;
  return new FailureError('E_IO', `cannot ${action} ${path}: ${why}`, { cause: error });
}

function exists(path: string, cause: unknown): FailureError {
  return new FailureError('E_EXISTS', `${path} exists; use --force to replace it`, { cause });
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** A rename would replace a device such as /dev/null by a file. */
async function refuseSpecial(path: string): Promise<void> {
  try {
    const found = await lstat(path);
    if (found.isFile() || found.isSymbolicLink()) return;
    const what = found.isDirectory() ? 'it is a folder' : 'it is not a regular file';
    throw new FailureError('E_IO', `cannot write ${path}: ${what}`);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw ioError(error, 'write', path);
  }
}

async function writeSynced(path: string, data: Uint8Array): Promise<void> {
  const file = await open(path, 'wx', 0o666);
  try {
    await file.writeFile(data);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** A hard link fails where the name is taken, in one step; a rename would replace what is there. */
async function giveName(temporary: string, path: string): Promise<void> {
  try {
    await link(temporary, path);
  } catch (error) {
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(codeOf(error) ?? '')) throw error;
    // No hard links on this file system (FAT, some network ones): take the name with an empty file, then replace that.
    await (await open(path, 'wx', 0o666)).close();
    await renameOrRelease(temporary, path);
  }
}

async function renameOrRelease(temporary: string, reserved: string): Promise<void> {
  try {
    await rename(temporary, reserved);
  } catch (error) {
    await rm(reserved, { force: true });
    throw error;
  }
}

/** So that the name, too, survives a power cut. Some network file systems cannot sync a folder and say so. */
async function syncFolder(path: string): Promise<void> {
  let folder: FileHandle | undefined;
  try {
    folder = await open(path, 'r');
    await folder.sync();
  } catch (error) {
    if (!['EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'EACCES', 'EPERM'].includes(codeOf(error) ?? '')) throw error;
  } finally {
    await folder?.close();
  }
}
