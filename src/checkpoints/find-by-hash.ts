import { type CheckpointFile, isReadable, listKnownCheckpoints } from './find.js';
import { type HashOptions, hashCheckpoint } from './hash.js';

/** What is looked for: a content, and the name under which it was known. */
export interface WantedModel {
  /** In hex; a beginning of ten digits or more will do. */
  readonly sha256: string;
  readonly name: string;
}

/** The likely ones first: of that name, then small ones, which are soon read. */
function byLikelihood(files: readonly CheckpointFile[], name: string): CheckpointFile[] {
  const rank = (file: CheckpointFile): number => (file.name === name ? 0 : 1);
  return [...files].sort((a, b) => rank(a) - rank(b) || a.bytes - b.bytes);
}

/**
 * The path of the model with that content in the models folders; undefined where none has it. The hash of a folder of
 * diffusers is known only when it is opened: one of that name counts as found, and the caller compares.
 * @throws FailureError for a folder or file that cannot be read; the signal's reason when aborted
 */
export async function findByHash(
  wanted: WantedModel,
  folders: readonly string[],
  options: HashOptions = {},
): Promise<string | undefined> {
  const files = (await listKnownCheckpoints(folders)).filter(isReadable);
  for (const file of byLikelihood(files, wanted.name)) {
    if (file.isFolder) {
      if (file.name === wanted.name) return file.path;
      continue;
    }
    if ((await hashCheckpoint(file.path, options)).startsWith(wanted.sha256)) return file.path;
  }
  return undefined;
}
