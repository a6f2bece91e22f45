import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';

/** A folder of its own for every test of the file or block that asks for it. */
export interface ScratchFolder {
  /** The path of a file or folder in it. */
  readonly path: (...parts: readonly string[]) => string;
  /** Writes a file, with the folders that it needs; without content its own name is in it. @returns its path */
  readonly put: (name: string, content?: string | Uint8Array) => Promise<string>;
}

/** Made before each test, removed after it. */
export function useScratchFolder(): ScratchFolder {
  let root = '';
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'sdgen-test-'));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));
  const path = (...parts: readonly string[]): string => join(root, ...parts);
  return {
    path,
    put: async (name, content = name) => {
      await mkdir(dirname(path(name)), { recursive: true });
      await writeFile(path(name), content);
      return path(name);
    },
  };
}
