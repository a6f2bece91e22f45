import { basename, relative } from 'node:path';
import { type CheckpointFile, isReadable, listKnownCheckpoints } from '../checkpoints/find.js';
import { knownHash, shortHash } from '../checkpoints/hash.js';
import type { KnownKinds } from '../checkpoints/kind.js';

/** A checkpoint as the webui lists it. */
export interface CatalogEntry {
  /** "folder/file.safetensors [0123456789]", the hash once it is known. */
  readonly title: string;
  /** The file's name without its ending, folders joined by _. */
  readonly model_name: string;
  readonly hash: string | null;
  readonly sha256: string | null;
  readonly filename: string;
  readonly config: null;
}

/** A VAE as the webui lists it. */
export interface VaeEntry {
  /** The file's name with its ending, as the webui calls VAEs. */
  readonly model_name: string;
  readonly filename: string;
}

/** The checkpoints and VAEs that clients may name: those in the models folders, and no path beside. */
export class Catalog {
  readonly #folders: readonly string[];
  readonly #cacheFolder: string | undefined;
  readonly #hashes = new Map<string, string>();
  readonly #kinds: KnownKinds = new Map();

  constructor(folders: readonly string[], cacheFolder: string | undefined) {
    this.#folders = folders;
    this.#cacheFolder = cacheFolder;
  }

  /** Remembers what a load found out. */
  remember(path: string, sha256: string): void {
    this.#hashes.set(path, sha256);
  }

  async entries(): Promise<CatalogEntry[]> {
    const files = (await this.#files()).filter(({ kind }) => kind === 'model');
    return Promise.all(files.map((file) => this.#entry(file)));
  }

  /** Files whose place, name or header says that they are VAEs, and checkpoints that are called so. */
  async vaes(): Promise<VaeEntry[]> {
    const files = (await this.#files()).filter(({ kind }) => kind === 'model' || kind === 'VAE');
    const found = files.filter(({ path, kind }) => kind === 'VAE' || /vae/i.test(basename(path)));
    return found.map(({ path }) => ({ model_name: basename(path), filename: path }));
  }

  /** The VAE that a client means: its file name, with or without its ending, in any case; else a checkpoint's own. */
  async findVae(text: string): Promise<VaeEntry | undefined> {
    const wanted = text.trim().toLowerCase();
    const namesOf = ({ model_name, filename }: VaeEntry): string[] =>
      [model_name, model_name.replace(/\.[^.]+$/, ''), filename].map((name) => name.toLowerCase());
    const found = (await this.vaes()).find((entry) => namesOf(entry).includes(wanted));
    if (found !== undefined) return found;
    const checkpoint = await this.find(text);
    return checkpoint && { model_name: basename(checkpoint.filename), filename: checkpoint.filename };
  }

  async #files(): Promise<CheckpointFile[]> {
    return (await listKnownCheckpoints(this.#folders, undefined, this.#kinds)).filter(isReadable);
  }

  async #entry(file: CheckpointFile): Promise<CatalogEntry> {
    const { path, isFolder } = file;
    const folder = this.#folders.find((one) => !relative(one, path).startsWith('..'));
    // In none of them stands the model that the package carries.
    const name = folder === undefined ? basename(path) : relative(folder, path);
    const sha256 = this.#hashes.get(path) ?? (isFolder ? undefined : await knownHash(path, this.#cacheFolder)) ?? null;
    const hash = sha256 === null ? null : shortHash(sha256);
    return {
      title: hash === null ? name : `${name} [${hash}]`,
      model_name: (isFolder ? name : name.replace(/\.[^.]+$/, '')).replaceAll(/[/\\]/g, '_'),
      hash,
      sha256,
      filename: path,
      config: null,
    };
  }

  /**
   * The checkpoint that a client means: its title, file name, model name or hash, in any case; else the shortest title
   * that holds the text, as the webui finds it.
   */
  async find(text: string): Promise<CatalogEntry | undefined> {
    const wanted = text.trim().toLowerCase();
    if (wanted === '') return undefined;
    const entries = await this.entries();
    const namesOf = ({ title, model_name, hash, sha256, filename }: CatalogEntry): string[] =>
      [
        title,
        title.replace(/ \[[0-9a-f]{10}\]$/, ''),
        model_name,
        basename(filename),
        filename,
        hash ?? '',
        sha256 ?? '',
      ].map((name) => name.toLowerCase());
    // A title that was handed out before its hash was known, or after the file changed, still names the file.
    const bare = wanted.replace(/ \[[0-9a-f]{10}\]$/, '');
    return (
      entries.find((entry) => namesOf(entry).includes(wanted)) ??
      entries.find((entry) => namesOf(entry).includes(bare)) ??
      entries
        .filter(({ title }) => title.toLowerCase().includes(bare))
        .sort((a, b) => a.title.length - b.title.length)[0]
    );
  }

  /** The entry of a path. */
  async at(path: string): Promise<CatalogEntry | undefined> {
    return (await this.entries()).find(({ filename }) => filename === path);
  }
}
