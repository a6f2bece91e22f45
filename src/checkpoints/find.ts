import type { Stats } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, extname, isAbsolute, join, resolve, sep } from 'node:path';
import { FailureError, UsageError } from '../request/errors.js';
import { didYouMean } from '../request/nearest.js';
import { embeddedModel, isEmbeddedName } from './embedded.js';
import { type FileKind, type KnownKinds, kindOfFile } from './kind.js';
import { isPickleName, isVaeName } from './vae-names.js';

/** File types that are checkpoints; only the first can be read. */
const READABLE = '.safetensors';
const KNOWN_TYPES: readonly string[] = [READABLE, '.ckpt'];
/** Bounds of the search, so that a models folder that is really "/" ends soon. */
const MAX_DEPTH = 4;
const MAX_ENTRIES = 20_000;
const MAX_FOLDER_ENTRIES = 200;

const HOW_TO_GET_ONE =
  'make a tiny random one with `node scripts/make-tiny-model.mjs --arch micro1 models/micro1.safetensors`, ' +
  'or give the path of an SD 1.x or 2.x .safetensors file, or of a folder of diffusers, with --model';

/** What makes a folder a model of diffusers. */
const FOLDER_INDEX = 'model_index.json';

/** A checkpoint: a file, or a folder of diffusers. */
export interface CheckpointFile {
  /** The file's stem or the folder's name: what --model takes. */
  readonly name: string;
  readonly path: string;
  readonly isFolder: boolean;
  /** By its name or place a VAE, else by its header; --model takes models alone. */
  readonly kind: FileKind;
  /** Of a folder: all files in it and in its parts. */
  readonly bytes: number;
  readonly modified: Date;
}

/** What errno says, in words. */
export function reasonOf(error: unknown): string {
  const code = error instanceof Error ? Reflect.get(error, 'code') : undefined;
  switch (code) {
    case 'ENOENT':
      return 'there is no such file';
    case 'ENOTDIR':
      return 'a part of the path is not a folder';
    case 'EACCES':
    case 'EPERM':
      return 'permission is denied';
    case 'ELOOP':
      return 'its symbolic links go in a circle';
    case 'ENAMETOOLONG':
      return 'the name is too long';
    default:
      return error instanceof Error ? error.message : String(error);
  }
}

function fileAt(path: string, info: Pick<Stats, 'size' | 'mtime'>): CheckpointFile {
  const name = basename(path, extname(path));
  return {
    name,
    path,
    isFolder: false,
    kind: isVaeName(path) ? 'VAE' : 'model',
    bytes: info.size,
    modified: info.mtime,
  };
}

async function checkpointAt(path: string): Promise<CheckpointFile> {
  let info: Awaited<ReturnType<typeof stat>>;
  try {
    info = await stat(path);
  } catch (error) {
    throw new FailureError('E_IO', `cannot read the model ${path}: ${reasonOf(error)}`, { cause: error });
  }
  if (info.isDirectory()) {
    const folder = await folderAt(path);
    if (folder !== undefined) return folder;
    throw new FailureError(
      'E_IO',
      `the model ${path} is not a file, nor a folder of diffusers (it has no ${FOLDER_INDEX}); give one of the two`,
    );
  }
  if (!info.isFile()) throw new FailureError('E_IO', `the model ${path} is not a file; give a .safetensors file`);
  return fileAt(path, info);
}

/** The folder of diffusers at a path; undefined where it is another folder. */
async function folderAt(path: string): Promise<CheckpointFile | undefined> {
  const index = await stat(join(path, FOLDER_INDEX)).catch(() => undefined);
  if (index?.isFile() !== true) return undefined;
  let bytes = 0;
  let newest = 0;
  const files = [...(await readdir(path)).entries()].slice(0, MAX_FOLDER_ENTRIES).map(([, name]) => join(path, name));
  for (const file of files) {
    const info = await stat(file).catch(() => undefined);
    if (info?.isDirectory()) {
      // Parts have no folders of their own.
      const inside = dirname(file) === path ? (await readdir(file)).slice(0, MAX_FOLDER_ENTRIES) : [];
      files.push(...inside.map((name) => join(file, name)));
    } else if (info?.isFile()) {
      bytes += info.size;
      newest = Math.max(newest, info.mtimeMs);
    }
  }
  return { name: basename(path), path, isFolder: true, kind: 'model', bytes, modified: new Date(newest) };
}

interface Search {
  readonly found: CheckpointFile[];
  readonly visited: Set<string>;
  entries: number;
}

/** Pickles are listed, so that whoever looks for one learns that it cannot be read. */
function isListed(path: string): boolean {
  return KNOWN_TYPES.includes(extname(path).toLowerCase()) || (isVaeName(path) && isPickleName(path));
}

async function walk(folder: string, depth: number, search: Search): Promise<void> {
  const real = await realpath(folder);
  if (search.visited.has(real)) return;
  search.visited.add(real);
  const names = (await readdir(folder)).sort();
  for (const name of names) {
    if (name.startsWith('.')) continue;
    search.entries += 1;
    if (search.entries > MAX_ENTRIES) {
      throw new UsageError(`the models folder ${folder} holds more than ${MAX_ENTRIES} files: give a smaller one`);
    }
    const path = join(folder, name);
    const info = await stat(path).catch(() => undefined); // a dangling link or a file just removed is no checkpoint
    const model = info?.isDirectory() ? await folderAt(path) : undefined;
    if (model !== undefined) search.found.push(model);
    else if (info?.isDirectory() && depth < MAX_DEPTH) await walk(path, depth + 1, search);
    else if (info?.isFile() && isListed(path)) search.found.push(fileAt(path, info));
  }
}

/** The files with their kinds, by their headers where their names do not say it. */
async function withKinds(files: readonly CheckpointFile[], known?: KnownKinds): Promise<CheckpointFile[]> {
  const told: CheckpointFile[] = [];
  for (const file of files) {
    const isOpen = !file.isFolder && file.kind === 'model';
    told.push(isOpen ? { ...file, kind: await kindOfFile(file, known) } : file);
  }
  return told;
}

/**
 * Every checkpoint and VAE below the folders, and what else has weights, by folder and then by path; a folder that does
 * not exist has none.
 * @param known saves reading the headers of files again
 * @throws FailureError when a folder is there but cannot be read.
 */
export async function listCheckpoints(folders: readonly string[], known?: KnownKinds): Promise<CheckpointFile[]> {
  return withKinds(await listFiles(folders), known);
}

/** As listCheckpoints, by names alone: no file is opened. */
async function listFiles(folders: readonly string[]): Promise<CheckpointFile[]> {
  const search: Search = { found: [], visited: new Set(), entries: 0 };
  for (const folder of folders) {
    try {
      await walk(folder, 0, search);
    } catch (error) {
      if (error instanceof UsageError) throw error;
      if (error instanceof Error && Reflect.get(error, 'code') === 'ENOENT') continue;
      throw new FailureError('E_IO', `cannot read the models folder ${folder}: ${reasonOf(error)}`, { cause: error });
    }
  }
  return search.found;
}

/** Whether it is written as a path is, or as a file's name. */
export function looksLikePath(text: string): boolean {
  return isAbsolute(text) || text.includes(sep) || KNOWN_TYPES.includes(extname(text).toLowerCase());
}

/** Whether it is of a kind that can be read at all. */
export function isReadable(file: CheckpointFile): boolean {
  return file.isFolder || extname(file.path).toLowerCase() === READABLE;
}

/** @throws FailureError where several can be read */
export function onlyOne(
  what: 'model' | 'VAE',
  wanted: string,
  matches: readonly CheckpointFile[],
): CheckpointFile | undefined {
  const readable = matches.filter(isReadable);
  const candidates = readable.length > 0 ? readable : matches;
  if (candidates.length > 1) {
    const paths = candidates.map((file) => file.path).join(', ');
    throw new FailureError(
      'E_MODEL_NOT_FOUND',
      `the ${what} name ${wanted} is ambiguous: give one of the paths ${paths}`,
    );
  }
  return candidates[0];
}

/**
 * Every checkpoint and VAE that a name can mean: those below the folders, and the one that the package carries.
 * @throws FailureError when a folder is there but cannot be read.
 */
export async function listKnownCheckpoints(
  folders: readonly string[],
  embedded?: string,
  known?: KnownKinds,
): Promise<CheckpointFile[]> {
  const found = await listCheckpoints(folders, known);
  const own = await embeddedModel(embedded);
  if (own === undefined) return found;
  const real = await realpath(own);
  const paths = await Promise.all(found.map(({ path }) => realpath(path).catch(() => path)));
  return paths.includes(real) ? found : [...found, await checkpointAt(own)];
}

/**
 * The checkpoint that --model means: a path, a file's name or its stem (upper and lower case alike) in a models folder;
 * where none is asked for, or none elsewhere has its name, the one that the package carries.
 * @param cwd where relative paths start
 * @param embedded the folder of the package's own model
 * @throws FailureError when there is none, or more than one, and says what to do
 */
export async function findCheckpoint(
  wanted: string | undefined,
  folders: readonly string[],
  cwd: string,
  embedded?: string,
): Promise<CheckpointFile> {
  const own = wanted === undefined || isEmbeddedName(wanted) ? await embeddedModel(embedded) : undefined;
  if (wanted === undefined) {
    if (own !== undefined) return checkpointAt(own);
    throw new FailureError('E_MODEL_NOT_FOUND', `no model is given: ${HOW_TO_GET_ONE}`);
  }
  if (wanted === '') throw new UsageError('model must be a name or a path; it is empty', 'model');
  if (wanted.includes('\0')) throw new UsageError('model must be a name or a path; a NUL character is in it', 'model');
  if (looksLikePath(wanted)) {
    const path = resolve(cwd, wanted);
    const exists = await stat(path).then(
      () => true,
      () => false,
    );
    if (exists || wanted.includes(sep)) return checkpointAt(path);
  }
  const lower = wanted.toLowerCase();
  const namesOf = (file: CheckpointFile): string[] => [file.name, basename(file.path)];
  const isAlike = (file: CheckpointFile): boolean => namesOf(file).some((name) => name.toLowerCase() === lower);
  const files = await listFiles(folders);
  const alike = await withKinds(files.filter(isAlike));
  const loose = alike.filter(({ kind }) => kind === 'model');
  const exact = loose.filter((file) => namesOf(file).includes(wanted));
  const match = onlyOne('model', wanted, exact) ?? onlyOne('model', wanted, loose);
  if (match !== undefined) return match;
  if (own !== undefined) return checkpointAt(own);
  const names = (await withKinds(files)).filter(({ kind }) => kind === 'model').map(({ name }) => name);
  throw noSuchModel(wanted, folders, [...new Set(names)], alike[0]);
}

/** @param other what has that name and is no model */
function noSuchModel(
  wanted: string,
  folders: readonly string[],
  names: readonly string[],
  other: CheckpointFile | undefined,
): FailureError {
  const hint = didYouMean(wanted, names);
  const known = names.length === 0 ? `; ${HOW_TO_GET_ONE}` : `; \`sdgen models list\` shows the ${names.length} there`;
  const instead =
    other && `: ${other.path} is a ${other.kind}${other.kind === 'VAE' ? ', which --vae takes' : ', not a model'}`;
  return new FailureError(
    'E_MODEL_NOT_FOUND',
    `there is no model named ${wanted} in ${folders.join(' or ')}${instead ?? (hint || known)}`,
  );
}
