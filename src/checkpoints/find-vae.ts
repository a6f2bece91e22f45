import { stat } from 'node:fs/promises';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { FailureError, UsageError } from '../request/errors.js';
import { didYouMean } from '../request/nearest.js';
import { type CheckpointFile, listCheckpoints, looksLikePath, onlyOne } from './find.js';
import { isPickleName, namesBeside, vaeWord } from './vae-names.js';

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

/** For whoever was given the name by a picture and has no such file. */
const OWN = "--vae none takes the model's own";

/** @throws FailureError for a file that unpickling would have to run */
function requireSafe(path: string, instead: string): string {
  if (!isPickleName(path)) return path;
  throw new FailureError(
    'E_MODEL_FORMAT',
    `the VAE ${path} is a pickle, which can run any code and is not read: convert it to .safetensors${instead}`,
  );
}

/** The VAE beside a checkpoint, MODEL.vae.safetensors; undefined where there is none. */
export async function vaeBeside({ path, name }: Pick<CheckpointFile, 'path' | 'name'>): Promise<string | undefined> {
  for (const file of namesBeside(name).map((one) => join(dirname(path), one))) {
    // Nothing else would tell that the pictures are not what the file's owner expects.
    if (await exists(file)) return requireSafe(file, ", or take the model's own by --vae none");
  }
  return undefined;
}

/**
 * The VAE that a name or path means: a file, a folder of diffusers' VAE, or a name in a models folder, of a VAE or of a
 * checkpoint whose VAE is taken.
 * @throws FailureError when there is none, more than one, or a pickle
 */
async function findVae(wanted: string, folders: readonly string[], cwd: string): Promise<string> {
  if (wanted === '' || wanted.includes('\0'))
    throw new UsageError('vae must be a name or a path; it is neither', 'vae');
  const path = resolve(cwd, wanted);
  if (await exists(path)) return requireSafe(path, '');
  if (wanted.includes(sep))
    throw new FailureError('E_IO', `cannot read the VAE ${path}: there is no such file; ${OWN}`);
  const all = await listCheckpoints(folders);
  const lower = wanted.toLowerCase();
  const named = all.filter((file) => file.name === wanted || basename(file.path) === wanted);
  const alike = all.filter((file) => [file.name, basename(file.path)].some((name) => name.toLowerCase() === lower));
  const found = onlyOne('VAE', wanted, named) ?? onlyOne('VAE', wanted, alike);
  if (found !== undefined) return requireSafe(found.path, '');
  const what = looksLikePath(wanted) ? `file ${path} and no VAE named ${wanted}` : `VAE named ${wanted}`;
  const hint = didYouMean(
    wanted,
    all.map(({ name }) => name),
  );
  throw new FailureError('E_MODEL_NOT_FOUND', `there is no ${what} in ${folders.join(' or ')}; ${OWN}${hint}`);
}

/**
 * The file or folder of the VAE that takes the place of a checkpoint's own; undefined where its own is used.
 * @param wanted what --vae says: automatic, which is also meant where it is left out: the one beside the checkpoint, if it
 *   is there; none: never; or a name or path
 * @throws FailureError, UsageError when what is wanted is not there, ambiguous, or a pickle
 */
export async function resolveVae(
  wanted: string | undefined,
  checkpoint: Pick<CheckpointFile, 'path' | 'name'>,
  folders: readonly string[],
  cwd: string,
): Promise<string | undefined> {
  const word = vaeWord(wanted ?? 'automatic');
  if (word === 'none') return undefined;
  return word === 'automatic' || wanted === undefined ? vaeBeside(checkpoint) : findVae(wanted, folders, cwd);
}
