import { readFile, stat } from 'node:fs/promises';
import { FailureError } from '../request/errors.js';
import { ioError } from './atomic-write.js';

/**
 * A file of at most `most` bytes.
 * @param what it should be, e.g. "a picture"
 * @throws FailureError E_IO, also for one that is larger
 */
export async function readBoundedFile(path: string, most: number, what: string): Promise<Buffer> {
  const info = await stat(path).catch((error: unknown) => {
    throw ioError(error, 'read', path);
  });
  if (info.isDirectory()) throw new FailureError('E_IO', `cannot read ${path}: it is a folder`);
  if (info.size > most) throw new FailureError('E_IO', `${path} is too large for ${what}: ${info.size} bytes`);
  return readFile(path).catch((error: unknown) => {
    throw ioError(error, 'read', path);
  });
}
