import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { FailureError } from '../request/errors.js';
import type { ExtensionRegistry } from './registry.js';

/**
 * Imports extension files and registers their default exports, in order. An extension is code and runs with all rights
 * of the process: only files that the user named are ever loaded.
 * @throws FailureError E_EXTENSION for a file that cannot be imported, UsageError for one that is no extension
 */
export async function loadExtensions(
  files: readonly string[],
  cwd: string,
  registry: ExtensionRegistry,
): Promise<void> {
  for (const file of files) {
    let module: { readonly default?: unknown };
    try {
      module = await import(pathToFileURL(resolve(cwd, file)).href);
    } catch (error) {
      const why = error instanceof Error ? error.message.split('\n')[0] : String(error);
      throw new FailureError('E_EXTENSION', `cannot load the extension ${file}: ${why}`, { cause: error });
    }
    registry.register(module.default, file);
  }
}
