import { isReadable, listCheckpoints } from '../checkpoints/find.js';
import { type HashOptions, hashVae } from '../checkpoints/hash.js';
import type { CommandOptions, ResolvedDevice } from '../context/runtime-context.js';
import { FailureError, UsageError } from '../request/errors.js';
import type { ModelProvider } from '../runtime/model-provider.js';

interface Known {
  readonly name: string;
  readonly sha256: string;
  readonly path: string;
}

/** What a worker has in its models folders, by content. */
export interface WorkerModels {
  readonly models: readonly Known[];
  /** Files that may stand in for a model's own VAE: any of them. */
  readonly vaes: readonly Known[];
}

/**
 * Reads the header of every checkpoint in the models folders, or of `--model` alone, and its hash. What cannot be run
 * here is told and left out.
 * @throws FailureError, UsageError for a model that was asked for by name
 */
export async function readModels(
  provider: ModelProvider,
  options: CommandOptions,
  device: ResolvedDevice,
  hash: HashOptions & { readonly onSkip: (path: string, why: string) => void },
): Promise<WorkerModels> {
  const open = async (model: string): Promise<Known> => {
    const opened = await provider.getModel({ ...options, model, vae: 'none', device }, hash.signal);
    opened.release?.();
    return { name: opened.name, sha256: opened.sha256, path: opened.path };
  };
  const files = (await listCheckpoints(options.modelsDirs)).filter(isReadable);
  const models: Known[] = options.model === undefined ? [] : [await open(options.model)];
  const vaes: Known[] = [];
  for (const { path, name, kind } of files) {
    if (kind !== 'model' && kind !== 'VAE') continue;
    hash.signal?.throwIfAborted();
    try {
      vaes.push({ name, path, sha256: await hashVae(path, hash) });
      if (options.model === undefined && kind === 'model') models.push(await open(path));
    } catch (error) {
      if (!(error instanceof FailureError || error instanceof UsageError) || hash.signal?.aborted) throw error;
      hash.onSkip(path, error.message);
    }
  }
  return { models, vaes };
}
