import { stat } from 'node:fs/promises';
import { extname, resolve, sep } from 'node:path';
import { formatOfExtension } from '../image/formats.js';
import { FailureError, UsageError } from '../request/errors.js';
import type { ImageFormat } from '../request/limits.js';
import { type Destination, FileSink } from '../runtime/file-sink.js';
import type { EncodedPicture, PictureSink, SavedPictures, SinkRun } from '../runtime/picture-sink.js';
import { type Io, writeAll } from './io.js';

/** One picture to standard output, for pipes. */
class StdoutSink implements PictureSink {
  readonly #io: Io;

  constructor(io: Io) {
    this.#io = io;
  }

  async check(run: SinkRun): Promise<void> {
    if (this.#io.stdout.isTTY === true) {
      throw new UsageError('--output - writes a picture to a pipe or a file, not to a terminal: redirect it', 'output');
    }
    if (run.seeds.length !== 1 || run.grid) {
      const what = run.grid ? 'a grid' : `${run.seeds.length}`;
      throw new UsageError(`--output - takes exactly one picture, not ${what}: give a folder or a file`, 'output');
    }
  }

  async save(pictures: readonly EncodedPicture[]): Promise<SavedPictures> {
    try {
      for (const { data } of pictures) await writeAll(this.#io.stdout, data);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new FailureError('E_IO', `cannot write the picture to standard output: ${reason}`, { cause: error });
    }
    return { paths: pictures.map(() => '-'), gridPath: undefined };
  }
}

async function readDestination(output: string, cwd: string): Promise<Destination> {
  if (output === '') throw new UsageError('--output must be a file, a folder or -; it is empty', 'output');
  if (output.includes('\0')) throw new UsageError('--output must not hold a NUL character', 'output');
  const found = await stat(resolve(cwd, output)).catch(() => undefined); // an absent one is told by its name
  const extension = extname(output).toLowerCase();
  if (output.endsWith(sep) || found?.isDirectory()) return { kind: 'folder', path: output };
  if (formatOfExtension(extension) !== undefined) return { kind: 'file', path: output };
  if (found !== undefined) {
    throw new UsageError(
      `--output must be a .png, .jpg, .webp or .avif file, a folder or -; ${output} is a file of another kind`,
      'output',
    );
  }
  if (extension === '') return { kind: 'folder', path: output };
  throw new UsageError(
    `--output must end in .png, .jpg, .webp or .avif; ${output} ends in ${extension}` +
      ` (a folder of that name is written ${output}/)`,
    'output',
  );
}

/** The format that a file's name as --output asks for; undefined where it leaves the choice. */
export async function formatOfOutput(output: string, cwd: string): Promise<ImageFormat | undefined> {
  if (output === '-') return undefined;
  const { kind, path } = await readDestination(output, cwd);
  return kind === 'file' ? formatOfExtension(extname(path)) : undefined;
}

/**
 * Where --output puts pictures: `-` is standard output, an existing folder or a name without an extension a folder,
 * `x.png`, `x.jpg`, `x.webp` or `x.avif` a file.
 * @throws UsageError
 */
export async function openSink(output: string, force: boolean, io: Io): Promise<PictureSink> {
  if (output === '-') return new StdoutSink(io);
  return new FileSink(await readDestination(output, io.cwd), { cwd: io.cwd, force });
}
