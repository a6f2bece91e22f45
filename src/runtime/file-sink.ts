import { randomBytes } from 'node:crypto';
import { lstat, open, rm, stat } from 'node:fs/promises';
import { dirname, extname, join, parse, resolve } from 'node:path';
import { ioError, makeFolder, temporaryPrefix, writeFileAtomic } from '../image/atomic-write.js';
import { gridName, nextNumber, numbered, pictureName } from '../image/filename.js';
import { extensionOf, formatOfExtension } from '../image/formats.js';
import { FailureError, UsageError } from '../request/errors.js';
import type { ImageFormat } from '../request/limits.js';
import type { EncodedPicture, PictureSink, SavedPictures, SinkRun } from './picture-sink.js';

/** A folder whose pictures are numbered, or the file's name for the first (and the stem for several). */
export type Destination =
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 'file'; readonly path: string };

const MAX_GRIDS = 9999;

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
    if (code === 'ENOENT') return false;
    throw ioError(error, 'write', path);
  }
}

/** The folder itself, or the nearest one above it that is there. */
async function nearestFolder(path: string): Promise<string> {
  for (let folder = path; ; folder = dirname(folder)) {
    if ((await exists(folder)) || dirname(folder) === folder) return folder;
  }
}

/**
 * Tries to write where the pictures shall go, so that an hour's work does not end at a closed door.
 * @param mark as of writeFileAtomic: a killed process leaves what it tried with
 */
export async function requireWritable(folder: string, mark?: string): Promise<void> {
  const nearest = await nearestFolder(folder);
  const info = await stat(nearest).catch((error: unknown) => {
    throw ioError(error, 'write into', nearest);
  });
  if (!info.isDirectory()) throw new FailureError('E_IO', `cannot write into ${folder}: ${nearest} is not a folder`);
  const probe = join(nearest, `${temporaryPrefix(mark)}${randomBytes(6).toString('hex')}.tmp`);
  try {
    await (await open(probe, 'wx')).close();
    await rm(probe);
  } catch (error) {
    throw ioError(error, 'write into', nearest);
  }
}

/** Saves pictures as files: each whole or not at all, and without `force` never over another. */
export class FileSink implements PictureSink {
  readonly #destination: Destination;
  readonly #cwd: string;
  readonly #force: boolean;
  readonly #gridFolder: string | undefined;

  /**
   * @param options.cwd where a relative destination starts; paths are reported as the destination is written
   * @param options.gridFolder where grids go instead of beside numbered pictures
   */
  constructor(
    destination: Destination,
    options: { readonly cwd: string; readonly force: boolean; readonly gridFolder?: string },
  ) {
    this.#destination = destination;
    this.#cwd = options.cwd;
    this.#force = options.force;
    this.#gridFolder = options.gridFolder;
  }

  async check(run: SinkRun): Promise<void> {
    const { kind, path } = this.#destination;
    await requireWritable(resolve(this.#cwd, kind === 'folder' ? path : dirname(path)));
    if (kind === 'folder') return;
    if (formatOfExtension(extname(path)) !== run.format) {
      throw new UsageError(
        `format ${run.format} is written to names in ${extensionOf(run.format)}, not ${path}`,
        'format',
      );
    }
    const names = run.seeds.map((_, i) => numbered(path, i + 1, run.seeds.length));
    for (const name of run.grid ? [...names, gridBeside(path)] : names) await this.#requireFree(name);
  }

  async save(
    pictures: readonly EncodedPicture[],
    grid: Uint8Array | undefined,
    signal: AbortSignal,
  ): Promise<SavedPictures> {
    const { kind, path } = this.#destination;
    await makeFolder(resolve(this.#cwd, kind === 'folder' ? path : dirname(path)));
    const paths: string[] = [];
    try {
      for (const picture of pictures) {
        signal.throwIfAborted();
        paths.push(
          kind === 'folder'
            ? await this.#writeNumbered(path, picture)
            : await this.#write(numbered(path, picture.index + 1, pictures.length), picture.data, this.#force),
        );
      }
      signal.throwIfAborted();
      return {
        paths,
        gridPath: grid === undefined ? undefined : await this.#writeGrid(grid, pictures[0]?.format ?? 'png'),
      };
    } catch (error) {
      throw await this.#giveUp(error, paths, pictures.length, signal);
    }
  }

  /** An interrupted run leaves nothing; a failed one keeps what is complete and says so. */
  async #giveUp(error: unknown, paths: readonly string[], total: number, signal: AbortSignal): Promise<unknown> {
    if (signal.aborted) {
      for (const path of paths) await rm(resolve(this.#cwd, path), { force: true });
      return signal.reason;
    }
    if (!(error instanceof FailureError) || paths.length === 0) return error;
    const kept = `${paths.length} of ${total} pictures are saved, the last as ${paths.at(-1)}`;
    return new FailureError(error.code, `${error.message}; ${kept}`, { cause: error });
  }

  async #requireFree(name: string): Promise<void> {
    const path = resolve(this.#cwd, name);
    if (!(await exists(path))) return;
    if (!this.#force) throw new FailureError('E_EXISTS', `${name} exists; use --force to replace it`);
    if ((await stat(path).catch(() => undefined))?.isDirectory()) {
      throw new FailureError('E_IO', `cannot write ${name}: it is a folder`);
    }
  }

  async #write(name: string, data: Uint8Array, force: boolean): Promise<string> {
    await writeFileAtomic(resolve(this.#cwd, name), data, { force });
    return name;
  }

  /** Another run may take the number between looking and writing: then the next. */
  async #writeNumbered(folder: string, picture: EncodedPicture): Promise<string> {
    for (;;) {
      const number = await nextNumber(resolve(this.#cwd, folder));
      try {
        return await this.#write(
          join(folder, pictureName(number, picture.seed, extensionOf(picture.format))),
          picture.data,
          false,
        );
      } catch (error) {
        if (!(error instanceof FailureError) || error.code !== 'E_EXISTS') throw error;
      }
    }
  }

  async #writeGrid(grid: Uint8Array, format: ImageFormat): Promise<string> {
    const { kind, path } = this.#destination;
    if (kind === 'file') return this.#write(gridBeside(path), grid, this.#force);
    const folder = this.#gridFolder ?? path;
    await makeFolder(resolve(this.#cwd, folder));
    for (let number = 1; number <= MAX_GRIDS; number += 1) {
      const name = join(folder, gridName(number, extensionOf(format)));
      if (await exists(resolve(this.#cwd, name))) continue;
      try {
        return await this.#write(name, grid, false);
      } catch (error) {
        if (!(error instanceof FailureError) || error.code !== 'E_EXISTS') throw error;
      }
    }
    throw new FailureError('E_EXISTS', `${folder} holds ${MAX_GRIDS} grids already: give another folder with --output`);
  }
}

/** x-grid.png for x.png. */
function gridBeside(path: string): string {
  const { dir, name, ext } = parse(path);
  return join(dir, `${name}-grid${ext}`);
}
