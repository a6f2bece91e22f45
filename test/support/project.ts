import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's folder. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Runs a tool of node_modules/.bin, or node itself, in `cwd`. */
export function runTool(name: string, args: string[], cwd = ROOT, input = ''): SpawnSyncReturns<string> {
  const environment = { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined, NODE_V8_COVERAGE: undefined };
  const program = name === 'node' ? process.execPath : join(ROOT, 'node_modules', '.bin', name);
  return spawnSync(program, args, { cwd, input, encoding: 'utf8', env: environment });
}

/** Paths, relative to `folder`, of the files under it whose names match. */
export function filesUnder(folder: string, pattern: RegExp): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => pattern.test(path))
    .sort();
}
