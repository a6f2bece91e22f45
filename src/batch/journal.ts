import { type FileHandle, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ioError, makeFolder } from '../image/atomic-write.js';
import { FailureError } from '../request/errors.js';
import { JournalLock } from './journal-lock.js';
import { type JournalRecord, JournalState, recordSchema } from './journal-records.js';

/** How every journal begins. */
const FIRST = '{"type":"batch"';

/** Bytes of a journal that is read. */
const MAX_BYTES = 2 ** 31 - 1;

/**
 * A batch's memory: a file that is only appended to, one JSON record a line, each on the disk before the next thing
 * happens. A line that a dying process tore is cut off when the journal is opened again.
 */
export class Journal {
  readonly path: string;
  readonly state: JournalState;
  readonly #file: FileHandle;
  readonly #lock: JournalLock;
  #size: number;
  /** The append under way: one at a time. */
  #last: Promise<void> = Promise.resolve();

  private constructor(path: string, file: FileHandle, lock: JournalLock, state: JournalState, size: number) {
    this.path = path;
    this.#file = file;
    this.#lock = lock;
    this.state = state;
    this.#size = size;
  }

  /**
   * Opens a journal, or makes one, and keeps others from it.
   * @throws FailureError E_IO, E_JOURNAL where it is damaged other than at its end, E_BUSY where another process has it
   */
  static async open(path: string): Promise<Journal> {
    await makeFolder(dirname(path));
    const lock = await JournalLock.take(path);
    let file: FileHandle | undefined;
    try {
      file = await open(path, 'a+', 0o666);
      const { state, bytes, torn } = await read(file, path);
      if (torn) await file.truncate(bytes);
      await syncFolder(dirname(path));
      return new Journal(path, file, lock, state, bytes);
    } catch (error) {
      await file?.close();
      await lock.release();
      throw ioError(error, 'open the journal', path);
    }
  }

  /** What a journal says, without taking or touching it; an empty state where there is none. @throws FailureError */
  static async peek(path: string): Promise<JournalState> {
    if ((await stat(path).catch(() => undefined)) === undefined) return new JournalState();
    const file = await open(path, 'r').catch((error: unknown) => {
      throw ioError(error, 'open the journal', path);
    });
    try {
      return (await read(file, path)).state;
    } catch (error) {
      throw ioError(error, 'read the journal', path);
    } finally {
      await file.close();
    }
  }

  /**
   * Writes records and waits until the disk has them. On failure the journal is as it was.
   * @throws FailureError E_IO
   */
  append(...records: readonly JournalRecord[]): Promise<void> {
    const next = this.#last.then(() => this.#append(records));
    this.#last = next.catch(() => undefined); // the next one tries for itself
    return next;
  }

  async #append(records: readonly JournalRecord[]): Promise<void> {
    const data = Buffer.from(records.map((record) => `${JSON.stringify(record)}\n`).join(''));
    try {
      await this.#file.writeFile(data);
      await this.#file.datasync();
    } catch (error) {
      await this.#file.truncate(this.#size).catch(() => undefined); // else cut off at the next opening
      throw ioError(error, 'write the journal', this.path);
    }
    this.#size += data.length;
    for (const record of records) this.state.add(record);
  }

  async close(): Promise<void> {
    await this.#last;
    await this.#file.close();
    await this.#lock.release();
  }
}

async function read(file: FileHandle, path: string) {
  const { size } = await file.stat();
  if (size > MAX_BYTES) throw new FailureError('E_JOURNAL', `the journal ${path} has ${size} bytes: give another one`);
  const state = new JournalState();
  const data = Buffer.alloc(size);
  const { bytesRead } = await file.read(data, 0, size, 0);
  let start = 0;
  for (let line = 1; start < bytesRead; line += 1) {
    const end = data.indexOf(0x0a, start);
    if (end < 0) break;
    const record = parseRecord(data.toString('utf8', start, end));
    if (record === undefined) {
      // The last one may have reached the disk in part.
      if (end + 1 === bytesRead) break;
      throw new FailureError('E_JOURNAL', `${path}:${line} is no record of a batch: give another file with --journal`);
    }
    state.add(record);
    start = end + 1;
  }
  // A file of something else is not a torn journal.
  if (start === 0 && !FIRST.startsWith(data.toString('latin1', 0, Math.min(bytesRead, FIRST.length)))) {
    throw new FailureError('E_JOURNAL', `${path} is not a journal of a batch: give another file with --journal`);
  }
  return { state, bytes: start, torn: start < bytesRead };
}

function parseRecord(text: string): JournalRecord | undefined {
  try {
    const result = recordSchema.safeParse(JSON.parse(text));
    return result.success ? result.data : undefined;
  } catch {
    return undefined; // not JSON
  }
}

/** So that the journal's name survives a power cut; some file systems cannot. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r').catch(() => undefined);
  try {
    await folder?.sync();
  } catch (error) {
    const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
    if (code !== 'EINVAL' && code !== 'ENOTSUP') throw error;
  } finally {
    await folder?.close();
  }
}
