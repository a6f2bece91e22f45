import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ioError, makeFolder, writeFileAtomic } from '../../image/atomic-write.js';
import { FailureError } from '../../request/errors.js';
import { type BlobStore, checkKey, MAX_BLOB_BYTES } from './store.js';

/** The file that says which folder this is, wherever it is mounted. */
const MARKER = '.sdgen-store';

const codeOf = (error: unknown): unknown => (error instanceof Error ? Reflect.get(error, 'code') : undefined);

async function readMarker(path: string): Promise<string | undefined> {
  try {
    const text = (await readFile(path, 'utf8')).trim();
    if (/^[0-9a-f]{32}$/.test(text)) return text;
    throw new FailureError('E_STORE', `${path} is not what marks a store: give another folder with --store`);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw ioError(error, 'read', path);
  }
}

/** The folder's own id; whoever comes first draws it. */
async function identify(folder: string): Promise<string> {
  const path = join(folder, MARKER);
  const known = await readMarker(path);
  if (known !== undefined) return known;
  try {
    await writeFileAtomic(path, Buffer.from(`${randomBytes(16).toString('hex')}\n`), { force: false });
  } catch (error) {
    if (!(error instanceof FailureError) || error.code !== 'E_EXISTS') throw error; // else another was quicker
  }
  const now = await readMarker(path);
  if (now === undefined) throw new FailureError('E_STORE', `${path} was removed just now`);
  return now;
}

/** Blobs as files of a folder that all sides have mounted. */
export class FolderStore implements BlobStore {
  readonly id: string;
  readonly #folder: string;

  private constructor(folder: string, id: string) {
    this.#folder = folder;
    this.id = `folder:${id}`;
  }

  /** Makes the folder where there is none. @throws FailureError E_IO, E_STORE */
  static async open(folder: string): Promise<FolderStore> {
    await makeFolder(folder);
    return new FolderStore(folder, await identify(folder));
  }

  async put(key: string, data: Uint8Array): Promise<void> {
    const path = this.#path(key);
    await mkdir(dirname(path), { recursive: true }).catch((error: unknown) => {
      throw ioError(error, 'make the folder', dirname(path));
    });
    await writeFileAtomic(path, data, { force: true });
  }

  async get(key: string): Promise<Buffer | undefined> {
    const path = this.#path(key);
    try {
      const { size } = await stat(path);
      if (size > MAX_BLOB_BYTES)
        throw new FailureError('E_STORE', `${path} has ${size} bytes, which is no blob of ours`);
      return await readFile(path);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw ioError(error, 'read', path);
    }
  }

  async remove(key: string): Promise<void> {
    const path = this.#path(key);
    await rm(path, { force: true }).catch((error: unknown) => {
      throw ioError(error, 'remove', path);
    });
  }

  #path(key: string): string {
    return join(this.#folder, checkKey(key));
  }
}
