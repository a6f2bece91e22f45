import { VERSION } from '../context/version.js';
import { loadExtensions } from '../extensions/load.js';
import { ExtensionRegistry } from '../extensions/registry.js';
import { warn } from './failure.js';
import type { Flags } from './flags.js';
import type { Io } from './io.js';

/** The extensions that `--extension` names, told that the command begins. @throws UsageError, FailureError */
export async function readExtensions(command: string, flags: Flags, io: Io): Promise<ExtensionRegistry> {
  const registry = new ExtensionRegistry((message) => warn(io, message));
  const files = Array.isArray(flags.values.extension) ? flags.values.extension.map(String) : [];
  await loadExtensions(files, io.cwd, registry);
  registry.call('app_started', { command, version: VERSION });
  return registry;
}
