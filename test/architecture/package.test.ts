import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../support/project.js';

interface Manifest {
  readonly version: string;
  readonly scripts: Record<string, string>;
  readonly dependencies: Record<string, string>;
  readonly devDependencies: Record<string, string>;
  readonly binary: { readonly napi_versions: readonly number[] };
}

const manifest: Manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const lock = readFileSync(join(ROOT, 'package-lock.json'), 'utf8');

const unpinned = (dependencies: Record<string, string>) =>
  Object.entries(dependencies)
    .filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))
    .map(([name]) => name);

/** Where a lock names a place to download from: lines such as "resolved": "https://…". */
const downloadPlaces = (text: string) =>
  text.split('\n').filter((line) => /"resolved":\s*"(?!node_modules)/.test(line));

describe('package', () => {
  it('pins every dependency exactly', () => {
    expect(unpinned({ ...manifest.dependencies, ...manifest.devDependencies })).toEqual([]);
    expect(unpinned({ a: '^1.0.0', b: '~1.0.0', c: '*', d: 'latest', e: '1.0', f: '1.0.0' })).toHaveLength(5);
  });

  it('agrees with its lock, which names no registry', () => {
    const locked: Manifest = JSON.parse(lock).packages[''];
    expect(locked.version).toBe(manifest.version);
    expect(locked.dependencies).toEqual(manifest.dependencies);
    expect(locked.devDependencies).toEqual(manifest.devDependencies);
    expect(downloadPlaces(lock)).toEqual([]);
    expect(downloadPlaces('  "resolved": "https://registry.example/a.tgz",')).toHaveLength(1);
    for (const file of ['.npmrc', '.yarnrc']) expect(existsSync(join(ROOT, file))).toBe(false);
  });

  it('locks the optional packages of every platform: npm ci refuses a lock that lacks one', () => {
    const packages: Record<string, { optionalDependencies?: Record<string, string> }> = JSON.parse(lock).packages;
    const wanted = Object.values(packages).flatMap((entry) => Object.keys(entry.optionalDependencies ?? {}));
    expect(wanted.length).toBeGreaterThan(10);
    const locked = Object.keys(packages);
    expect(wanted.filter((name) => !locked.some((path) => path.endsWith(`node_modules/${name}`)))).toEqual([]);
  });

  it('depends on nothing that must run a script when it is installed', () => {
    const packages: [string, { hasInstallScript?: boolean; dev?: boolean; optional?: boolean }][] = Object.entries(
      JSON.parse(lock).packages,
    );
    const running = packages.filter(([path, entry]) => path !== '' && entry.hasInstallScript && !entry.dev);
    expect(running.filter(([, entry]) => !entry.optional).map(([path]) => path)).toEqual([]);
    // bullmq's codec does without its native part where the script is blocked.
    expect(running.map(([path]) => path)).toEqual(['node_modules/msgpackr-extract']);
  });

  it('builds the addon from the headers of an npm package, not from a download', () => {
    expect(manifest.binary.napi_versions).toEqual([8]);
  });

  it('has scripts whose files exist', () => {
    const files = Object.values(manifest.scripts).flatMap((script) => script.match(/scripts\/[\w.-]+/g) ?? []);
    expect(files.length).toBeGreaterThan(3);
    expect(files.filter((file) => !existsSync(join(ROOT, file)))).toEqual([]);
  });

  it('has its version as the newest in CHANGELOG.md', () => {
    const changelog = readFileSync(join(ROOT, 'CHANGELOG.md'), 'utf8');
    expect(/^## (\d+\.\d+\.\d+)/m.exec(changelog)?.[1]).toBe(manifest.version);
  });
});
