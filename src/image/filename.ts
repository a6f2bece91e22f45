import { readdir } from 'node:fs/promises';
import { join, parse } from 'node:path';
import { ioError } from './atomic-write.js';

/** "00001-42": digits as many as the number needs, at least five. Longer numbers than nine digits are someone else's names. */
const NUMBERED = /^(\d{5,9})(?=\D|$)/;

/**
 * One more than the highest number that a name in the folder starts with; 1 for an empty folder or none. Another
 * process may take it before it is written: then writing fails with E_EXISTS, and the next is to be asked for.
 * @throws FailureError E_IO when the folder cannot be read.
 */
export async function nextNumber(folder: string): Promise<number> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 1;
    throw ioError(error, 'read the folder', folder);
  }
  const highest = names.reduce((most, name) => Math.max(most, Number(NUMBERED.exec(name)?.[1] ?? 0)), 0);
  return highest + 1;
}

/** "00001-42.png". */
export function pictureName(number: number, seed: number, extension = '.png'): string {
  return `${String(number).padStart(5, '0')}-${seed}${extension}`;
}

/** "grid-0001.png". */
export function gridName(number: number, extension = '.png'): string {
  return `grid-${String(number).padStart(4, '0')}${extension}`;
}

/** The name of picture `index` (1 … total) where one was asked for: x.png of three is x-1.png, x-2.png, x-3.png. */
export function numbered(path: string, index: number, total: number): string {
  if (total === 1) return path;
  const { dir, name, ext } = parse(path);
  return join(dir, `${name}-${index}${ext}`);
}
