import { readFileSync } from 'node:fs';

function readVersion(): string {
  const path = new URL('../../package.json', import.meta.url);
  const manifest: unknown = JSON.parse(readFileSync(path, 'utf8'));
  const version = typeof manifest === 'object' && manifest !== null ? Reflect.get(manifest, 'version') : undefined;
  if (typeof version !== 'string' || version === '') throw new Error(`${path.pathname} states no version`);
  return version;
}

/** The version of docs/numerics.md: runs of another one have other bits. */
export const NUMERICS_VERSION = 1;

/** The package's version: from package.json, two folders up from src/context as from dist/context. */
export const VERSION: string = readVersion();
