import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder, writeFileAtomic } from '../image/atomic-write.js';
import { pictureName } from '../image/filename.js';
import { extensionOf } from '../image/formats.js';
import { FailureError } from '../request/errors.js';
import { requireWritable } from '../runtime/file-sink.js';
import type { EncodedPicture, PictureSink, SavedPictures, SinkRun } from '../runtime/picture-sink.js';
import type { JournalFile } from './journal-records.js';

/** Numbers for names, each given once. */
export class NumberBook {
  #next: number;

  /** @param next the first that is free in the folder */
  constructor(next: number) {
    this.#next = next;
  }

  take(): number {
    this.#next += 1;
    return this.#next - 1;
  }
}

/** Whether a file is there as the journal has it. */
export async function isIntact(
  folder: string,
  { name, sha256 }: Pick<JournalFile, 'name' | 'sha256'>,
): Promise<boolean> {
  try {
    return hashOf(await readFile(join(folder, name))) === sha256;
  } catch {
    return false; // gone, or not to be read: it is made again
  }
}

export function hashOf(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

export interface ItemSinkParts {
  /** The output folder. */
  readonly folder: string;
  readonly numbers: NumberBook;
  /** Names that a run before this one gave the item's files. */
  readonly names: readonly string[];
  /** Marks temporary files as the batch's. */
  readonly mark: string;
  /** The names are settled and nothing is computed yet. */
  readonly onStart: (names: readonly string[]) => Promise<void>;
  /** The pictures are made and not yet written, under these names; again where a name was taken meanwhile. */
  readonly onSaving: (files: readonly JournalFile[]) => Promise<void>;
}

/** Saves the pictures of one item under numbers of the batch. Never over another file. */
export class ItemSink implements PictureSink {
  readonly #parts: ItemSinkParts;
  #names: string[] = [];
  files: readonly JournalFile[] = [];

  constructor(parts: ItemSinkParts) {
    this.#parts = parts;
  }

  async check({ seeds, format }: SinkRun): Promise<void> {
    const { folder, names, mark, onStart } = this.#parts;
    await requireWritable(folder, mark);
    const extension = extensionOf(format);
    const fits = names.length === seeds.length && names.every((name) => name.endsWith(extension));
    this.#names = fits ? [...names] : seeds.map((seed) => this.#freshName(seed, extension));
    await onStart(this.#names);
  }

  async save(pictures: readonly EncodedPicture[]): Promise<SavedPictures> {
    const { folder, onSaving } = this.#parts;
    await makeFolder(folder);
    let files = this.#filesOf(pictures);
    await onSaving(files);
    for (const [i, picture] of pictures.entries()) {
      // A name that somebody else's file took goes to the next number; what is our own is there already.
      while (!(await this.#write(this.#names[i] ?? '', picture.data))) {
        this.#names[i] = this.#freshName(picture.seed, extensionOf(picture.format));
        files = this.#filesOf(pictures);
        await onSaving(files);
      }
    }
    this.files = files;
    return { paths: files.map(({ name }) => join(folder, name)), gridPath: undefined };
  }

  #filesOf(pictures: readonly EncodedPicture[]): JournalFile[] {
    return pictures.map(({ data, seed }, i) => ({ name: this.#names[i] ?? '', sha256: hashOf(data), seed }));
  }

  #freshName(seed: number, extension: string): string {
    return pictureName(this.#parts.numbers.take(), seed, extension);
  }

  /** @returns false where another file has the name */
  async #write(name: string, data: Uint8Array): Promise<boolean> {
    const { folder, mark } = this.#parts;
    try {
      await writeFileAtomic(join(folder, name), data, { force: false, mark });
      return true;
    } catch (error) {
      if (!(error instanceof FailureError) || error.code !== 'E_EXISTS') throw error;
      return isIntact(folder, { name, sha256: hashOf(data) });
    }
  }
}
