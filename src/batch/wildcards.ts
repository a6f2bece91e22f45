import { readdir, readFile, stat } from 'node:fs/promises';
import { join, relative, resolve, sep } from 'node:path';
import { ioError } from '../image/atomic-write.js';
import { FailureError, UsageError } from '../request/errors.js';
import { didYouMean } from '../request/nearest.js';
import { countTexts, type Entries, parseTemplate, type Template, wildcardNames } from './templates.js';

export const WILDCARD_LIMITS = { fileBytes: 16 * 1024 * 1024, entries: 100_000, names: 1000 } as const;

/** The folder that is looked into unless told. */
const DEFAULT_FOLDER = 'wildcards';

/**
 * Files of a folder by their names without ".txt", one entry a line: empty lines and those that begin with # are none.
 * An entry may hold alternatives and further wildcards.
 */
export class Wildcards implements Entries {
  readonly #folder: string;
  readonly #named: boolean;
  readonly #entries = new Map<string, readonly Template[]>();
  readonly #counts = new Map<string, number>();

  /** @param folder undefined: ./wildcards, if it is there */
  constructor(folder: string | undefined, cwd: string) {
    this.#folder = resolve(cwd, folder ?? DEFAULT_FOLDER);
    this.#named = folder !== undefined;
  }

  of(name: string): readonly Template[] {
    const entries = this.#entries.get(name);
    if (entries === undefined) throw new RangeError(`the wildcard ${name} was not read`);
    return entries;
  }

  countOf(name: string): number {
    const known = this.#counts.get(name);
    if (known !== undefined) return known;
    const count = this.of(name).reduce((sum, entry) => sum + countTexts(entry, { entries: this, all: true }), 0);
    this.#counts.set(name, count);
    return count;
  }

  /**
   * Reads what a template names, and what that names.
   * @throws UsageError for a name that has no file, leads to itself or to too much; FailureError for a file that cannot be read
   */
  async read(template: Template): Promise<void> {
    for (const name of new Set(wildcardNames(template))) await this.#read(name, []);
  }

  async #read(name: string, above: readonly string[]): Promise<void> {
    if (above.includes(name)) {
      throw new UsageError(`the wildcard __${name}__ leads to itself: ${[...above, name].join(' > ')}`);
    }
    if (this.#entries.has(name)) return;
    if (this.#entries.size + above.length >= WILDCARD_LIMITS.names) {
      throw new UsageError(`more than ${WILDCARD_LIMITS.names} wildcards are named`);
    }
    const entries = (await this.#lines(name)).map((line) => parseTemplate(line, true));
    const inner = new Set(entries.flatMap(wildcardNames));
    for (const below of inner) await this.#read(below, [...above, name]);
    this.#entries.set(name, entries);
  }

  async #lines(name: string): Promise<string[]> {
    const path = join(this.#folder, `${name}.txt`);
    const found = await stat(path).catch(() => undefined);
    if (found === undefined || !found.isFile()) throw await this.#missing(name);
    if (found.size > WILDCARD_LIMITS.fileBytes) {
      throw new UsageError(
        `${path} has ${found.size} bytes; a file of wildcards has at most ${WILDCARD_LIMITS.fileBytes}`,
      );
    }
    const bytes = await readFile(path).catch((error: unknown) => {
      throw ioError(error, 'read', path);
    });
    const lines = decodeText(bytes, path)
      .split(/\r\n|\r|\n/)
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('#'));
    if (lines.length === 0) throw new UsageError(`${path} has no entry`);
    if (lines.length > WILDCARD_LIMITS.entries) {
      throw new UsageError(`${path} has ${lines.length} entries, more than ${WILDCARD_LIMITS.entries}`);
    }
    return lines;
  }

  async #missing(name: string): Promise<UsageError> {
    const known = await this.#names();
    if (known === undefined) {
      const remedy = this.#named
        ? `there is no folder ${this.#folder}`
        : 'give the folder of its file with --wildcards';
      return new UsageError(`__${name}__ is a wildcard: ${remedy} (--literal takes prompts as they are written)`);
    }
    return new UsageError(
      `the wildcard __${name}__ has no file ${join(this.#folder, `${name}.txt`)}${didYouMean(name, known)}`,
    );
  }

  async #names(): Promise<string[] | undefined> {
    try {
      const files = await readdir(this.#folder, { recursive: true });
      return files
        .filter((file) => file.endsWith('.txt'))
        .map((file) => relative('.', file).slice(0, -4).replaceAll(sep, '/'))
        .slice(0, WILDCARD_LIMITS.names);
    } catch {
      return undefined; // no folder, or none that can be read
    }
  }
}

/** Text without its byte order mark. @throws FailureError where it is not UTF-8 */
export function decodeText(bytes: Uint8Array, name: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new FailureError('E_TEXT', `${name} is not UTF-8 text`, { cause });
  }
}
