import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { NativeError } from './errors.js';
import type { NativeAddon } from './types.js';

/** The package's folder: two up from src/native as from dist/native. */
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const REBUILD = `run \`npm run build\` in ${ROOT}`;
const REBUILD_ALL = `delete ${resolve(ROOT, 'build')} and ${REBUILD}`;

const require = createRequire(import.meta.url);

/** What the dynamic linker says → what is the matter and what to do. The first that matches counts. */
const LINKER_COMPLAINTS: readonly [pattern: RegExp, cause: string, remedy: string][] = [
  [/version `(GLIBC\w*_[\w.]+)' not found/, 'it was built for a newer system than this one (no $1)', REBUILD_ALL],
  [/undefined symbol: (napi_\w+|node_api_\w+)/, `Node ${process.version} does not know $1`, 'use Node 20.20 or newer'],
  [/undefined symbol: (\w+)/, 'it is incomplete (undefined symbol $1)', REBUILD_ALL],
  [/compiled against a different Node\.js version/, 'it was built for another Node.js', REBUILD_ALL],
  [/did not self-register/, 'it is not an addon for Node.js', REBUILD_ALL],
  [/file too short|invalid ELF header/, 'it is damaged or not a Linux library', REBUILD_ALL],
  [/wrong ELF class/, `it was built for another processor than ${process.arch}`, REBUILD_ALL],
];

/** @internal Exported for its tests. */
export function explainLoadFailure(path: string, message: string): string {
  const missing = /([^\s:]+): cannot open shared object file/.exec(message)?.[1];
  // The linker skips a library for another processor and then says that there is none.
  if (missing === path) return `it was built for another processor than ${process.arch}; ${REBUILD_ALL}`;
  if (missing !== undefined) return `the shared library ${missing} is missing; install it, or ${REBUILD_ALL}`;
  for (const [pattern, cause, remedy] of LINKER_COMPLAINTS) {
    const found = pattern.exec(message);
    if (found !== null) return `${cause.replace('$1', found[1] ?? '')}; ${remedy}`;
  }
  return `${message.split('\n')[0]}; ${REBUILD}`;
}

function isAddon(module: unknown): module is NativeAddon {
  if (typeof module !== 'object' || module === null) return false;
  return ['version', 'capabilities', 'openModel'].every((name) => typeof Reflect.get(module, name) === 'function');
}

function packageVersion(): string {
  const description: unknown = require('../../package.json');
  return String(typeof description === 'object' && description !== null && Reflect.get(description, 'version'));
}

/**
 * The native addon: build/Release/sdgen.node of this package, or the file that SDGEN_ADDON names. Node keeps it, so
 * that asking again costs nothing.
 * @throws NativeError E_ADDON with the cause and the remedy in one line
 */
export async function loadAddon(env: NodeJS.ProcessEnv = process.env): Promise<NativeAddon> {
  const chosen = env.SDGEN_ADDON;
  const path = chosen ? resolve(chosen) : resolve(ROOT, 'build/Release/sdgen.node');
  if (!existsSync(path)) {
    const remedy = chosen ? 'correct or unset SDGEN_ADDON' : REBUILD;
    throw new NativeError('E_ADDON', `the native addon ${path} does not exist; ${remedy}`);
  }
  let module: unknown;
  try {
    module = require(path);
  } catch (error) {
    const reason = explainLoadFailure(path, error instanceof Error ? error.message : String(error));
    throw new NativeError('E_ADDON', `the native addon ${path} cannot be loaded: ${reason}`, { cause: error });
  }
  if (!isAddon(module)) {
    throw new NativeError('E_ADDON', `${path} is not sdgen's native addon; ${chosen ? 'unset SDGEN_ADDON' : REBUILD}`);
  }
  const [built, wanted] = [module.version(), packageVersion()];
  if (built !== wanted) {
    const versions = `the native addon ${path} is of version ${built}, the package of ${wanted}`;
    throw new NativeError('E_ADDON', `${versions}; ${chosen ? 'unset SDGEN_ADDON' : REBUILD_ALL}`);
  }
  return module;
}
