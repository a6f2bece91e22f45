import { createHash, randomBytes } from 'node:crypto';
import { type BigIntStats, createReadStream } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { z } from 'zod';
import { FailureError } from '../request/errors.js';
import { reasonOf } from './find.js';

const CHUNK_BYTES = 4 << 20;
const MAX_CACHE_BYTES = 8 << 20;

const cacheSchema = z.object({
  version: z.literal(1),
  files: z.record(
    z.string(),
    z.object({ size: z.string(), modified: z.string(), sha256: z.string().regex(/^[0-9a-f]{64}$/) }),
  ),
});
type Cache = z.infer<typeof cacheSchema>;

export interface HashOptions {
  /** Folder of the cache; without it every call reads the file. */
  readonly cacheFolder?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told before a file is really read, which can take long. */
  readonly onRead?: ((path: string) => void) | undefined;
  /** Told when the cache cannot be written: the hash is right, only the next run is slower. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** Where hashes are remembered: $XDG_CACHE_HOME/sdgen or ~/.cache/sdgen; nothing without a home. */
export function cacheFolder(env: Readonly<Record<string, string | undefined>>): string | undefined {
  if (env.XDG_CACHE_HOME) return join(env.XDG_CACHE_HOME, 'sdgen');
  return env.HOME ? join(env.HOME, '.cache', 'sdgen') : undefined;
}

/** The webui's short form of a model's hash. */
export function shortHash(sha256: string): string {
  return sha256.slice(0, 10);
}

async function readCache(file: string): Promise<Cache> {
  const empty: Cache = { version: 1, files: {} };
  try {
    const text = await readFile(file, 'utf8');
    if (text.length > MAX_CACHE_BYTES) return empty;
    const parsed = cacheSchema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : empty;
  } catch {
    return empty; // absent or damaged: a cache may always start anew
  }
}

async function writeCache(file: string, cache: Cache): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`;
  try {
    await writeFile(temporary, JSON.stringify(cache));
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

async function digest(path: string, signal: AbortSignal | undefined): Promise<string> {
  const hash = createHash('sha256');
  const stream = createReadStream(path, { highWaterMark: CHUNK_BYTES, ...(signal === undefined ? {} : { signal }) });
  for await (const chunk of stream) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

function stamp(info: BigIntStats): { size: string; modified: string } {
  return { size: String(info.size), modified: String(info.mtimeNs) };
}

/**
 * SHA-256 of a checkpoint's content, in hex; remembered by path, size and time of change.
 * @throws FailureError E_IO when the file cannot be read or changes meanwhile; the signal's reason when aborted
 */
export async function hashCheckpoint(path: string, options: HashOptions = {}): Promise<string> {
  const cacheFile = options.cacheFolder === undefined ? undefined : join(options.cacheFolder, 'hashes.json');
  options.signal?.throwIfAborted();
  try {
    const before = stamp(await stat(path, { bigint: true }));
    const known = cacheFile === undefined ? undefined : (await readCache(cacheFile)).files[path];
    if (known?.size === before.size && known.modified === before.modified) return known.sha256;
    options.onRead?.(path);
    const sha256 = await digest(path, options.signal);
    const after = stamp(await stat(path, { bigint: true }));
    if (after.size !== before.size || after.modified !== before.modified) {
      throw new FailureError('E_IO', `the model ${path} changed while it was read: try again when it is complete`);
    }
    if (cacheFile !== undefined) await remember(cacheFile, path, { ...after, sha256 }, options.onWarning);
    return sha256;
  } catch (error) {
    options.signal?.throwIfAborted();
    if (error instanceof FailureError) throw error;
    throw new FailureError('E_IO', `cannot read the model ${path}: ${reasonOf(error)}`, { cause: error });
  }
}

/** A checkpoint's SHA-256 where the cache has it for the file as it is now; reads nothing of the file. */
export async function knownHash(path: string, folder: string | undefined): Promise<string | undefined> {
  if (folder === undefined) return undefined;
  const known = (await readCache(join(folder, 'hashes.json'))).files[path];
  if (known === undefined) return undefined;
  const now = await stat(path, { bigint: true }).then(stamp, () => undefined); // a file just removed has no hash
  return now !== undefined && known.size === now.size && known.modified === now.modified ? known.sha256 : undefined;
}

async function remember(
  cacheFile: string,
  path: string,
  entry: Cache['files'][string],
  onWarning: HashOptions['onWarning'],
): Promise<void> {
  try {
    const cache = await readCache(cacheFile); // read again: another process may have added to it meanwhile
    await writeCache(cacheFile, { version: 1, files: { ...cache.files, [path]: entry } });
  } catch (error) {
    onWarning?.(`cannot remember the model's hash in ${cacheFile}: ${reasonOf(error)}`);
  }
}

/**
 * SHA-256 of a model: of one file its content's; of a folder that of its files' names and hashes, name by name.
 * @param files all that decides the pictures; paths below `path` where that is a folder
 * @throws FailureError as hashCheckpoint
 */
export async function hashModel(path: string, files: readonly string[], options: HashOptions = {}): Promise<string> {
  const inside = files.filter((file) => file.startsWith(`${path}${sep}`) || file.startsWith(`${path}/`));
  if (inside.length === 0) return hashCheckpoint(path, options);
  const hash = createHash('sha256');
  for (const file of [...inside].sort()) {
    hash.update(`${relative(path, file)}\0${await hashCheckpoint(file, options)}\n`);
  }
  return hash.digest('hex');
}

/**
 * SHA-256 of a VAE: a file's, or of a folder that of its weights and config.
 * @throws FailureError as hashCheckpoint
 */
export async function hashVae(path: string, options: HashOptions = {}): Promise<string> {
  const info = await stat(path);
  if (!info.isDirectory()) return hashCheckpoint(path, options);
  const names = (await readdir(path)).filter((name) => /\.(safetensors|json)$/.test(name));
  return hashModel(
    path,
    names.map((name) => join(path, name)),
    options,
  );
}
