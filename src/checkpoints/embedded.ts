import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of the model that the package carries: what a run takes where no other is asked for. */
export const EMBEDDED_MODEL = fileURLToPath(new URL('../../models/pocket', import.meta.url));

/** Whether this is what `--model` calls it. */
export function isEmbeddedName(wanted: string): boolean {
  return wanted.toLowerCase() === basename(EMBEDDED_MODEL);
}

/** Where the package carries it; undefined where a build leaves it out. */
export async function embeddedModel(folder: string = EMBEDDED_MODEL): Promise<string | undefined> {
  const index = await stat(join(folder, 'model_index.json')).catch(() => undefined);
  return index?.isFile() === true ? folder : undefined;
}
