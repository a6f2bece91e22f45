import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { CommandOptions } from '../context/runtime-context.js';
import { readStyles, type Styles } from '../prompt/styles.js';

/** The webui's name for the file of styles. */
const DEFAULT_FILE = 'styles.csv';

/**
 * The styles that a request may name; no file is read where it names none.
 * @throws FailureError naming the file that cannot be read
 */
export async function loadStyles(
  names: readonly string[],
  { stylesFiles, cwd }: Pick<CommandOptions, 'stylesFiles' | 'cwd'>,
): Promise<Styles> {
  return names.length === 0 ? new Map() : loadStyleList({ stylesFiles, cwd });
}

/**
 * All styles that there are.
 * @throws FailureError naming the file that cannot be read
 */
export async function loadStyleList({
  stylesFiles,
  cwd,
}: Pick<CommandOptions, 'stylesFiles' | 'cwd'>): Promise<Styles> {
  if (stylesFiles !== undefined) return readStyles(stylesFiles);
  const standard = join(cwd, DEFAULT_FILE);
  const isThere = await access(standard).then(
    () => true,
    () => false, // then there are no styles, which the name asked for will tell
  );
  return readStyles(isThere ? [standard] : []);
}
