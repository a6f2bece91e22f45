import { join } from 'node:path';
import type { EarlyEnd } from '../../context/early-end.js';
import { FileSink } from '../../runtime/file-sink.js';
import type { EncodedPicture, PictureSink, SavedPictures, SinkRun } from '../../runtime/picture-sink.js';
import type { JobKind } from '../job-store.js';

/** "2026-11-25", local time. */
function dateFolder(date: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/**
 * Files as the webui lays them out: `txt2img-images/2026-11-25/00001-SEED.png` and `txt2img-grids/…/grid-0001.png` in the
 * output folder. No word of a request is part of a path.
 */
export function webuiFiles(folder: string, kind: JobKind, inDateFolders: boolean, date = new Date()): PictureSink {
  const inside = inDateFolders ? dateFolder(date) : '';
  return new FileSink(
    { kind: 'folder', path: join(folder, `${kind}-images`, inside) },
    { cwd: folder, force: false, gridFolder: join(folder, `${kind}-grids`, inside) },
  );
}

/** Keeps a run's files in memory for the answer, and has them saved where that was asked for. */
export class ResponseSink implements PictureSink {
  files: readonly Uint8Array[] = [];
  grid: Uint8Array | undefined;
  readonly #saved: PictureSink | undefined;
  readonly #earlyEnd: EarlyEnd;
  readonly #savesGrid: boolean;

  constructor(saved: PictureSink | undefined, savesGrid: boolean, earlyEnd: EarlyEnd) {
    this.#savesGrid = savesGrid;
    this.#saved = saved;
    this.#earlyEnd = earlyEnd;
  }

  async check(run: SinkRun): Promise<void> {
    await this.#saved?.check(run);
  }

  async save(
    pictures: readonly EncodedPicture[],
    grid: Uint8Array | undefined,
    signal: AbortSignal,
  ): Promise<SavedPictures> {
    this.files = pictures.map(({ data }) => data);
    this.grid = grid;
    // As the webui does by default, a picture that was interrupted is answered and not saved.
    if (this.#saved !== undefined && !this.#earlyEnd.interrupted && pictures.length > 0) {
      return this.#saved.save(pictures, this.#savesGrid ? grid : undefined, signal);
    }
    return { paths: [], gridPath: undefined };
  }
}
