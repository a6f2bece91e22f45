import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { filesUnder, ROOT, runTool } from '../support/project.js';

const planted: string[] = [];
afterAll(() => {
  for (const folder of planted) rmSync(folder, { recursive: true, force: true });
});

const CONFIG = join(ROOT, '.dependency-cruiser.cjs');
const FOLDERS = [
  ...['cli', 'server', 'batch', 'fleet', 'runtime', 'extensions', 'pipeline', 'prompt', 'sampling', 'checkpoints'],
  ...['image', 'context', 'request', 'native'],
];

/** Runs the import gate over a project made of these files. */
function cruise(files: Record<string, string>) {
  const folder = mkdtempSync(join(tmpdir(), 'sdgen-imports-'));
  planted.push(folder);
  writeFileSync(join(folder, 'package.json'), readFileSync(join(ROOT, 'package.json')));
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return runTool('depcruise', ['src', '--config', CONFIG], folder);
}

const VALUE = 'export const value = 1;\nexport type Value = number;\n';

describe('import order', () => {
  it('holds in src/', () => {
    const { status, stdout } = runTool('depcruise', ['src', '--config', CONFIG]);
    expect(stdout).toMatch(/no dependency violations found/);
    expect(status).toBe(0);
  });

  it('lets imports point down, type-only or not', () => {
    const { status, stdout } = cruise({
      'src/request/a.ts': VALUE,
      'src/runtime/b.ts': "import { value } from '../request/a.js';\nexport const twice = 2 * value;\n",
      'src/cli/c.ts':
        "import { twice } from '../runtime/b.js';\nimport { z } from 'zod';\nexport const c = [twice, z];\n",
    });
    expect(stdout).toMatch(/no dependency violations found \(4 modules/);
    expect(status).toBe(0);
  });

  it.each([
    ['an upward import', 'src/request/a.ts', "export { value } from '../cli/x.js';", 'src/cli/x.ts', 'layer-request'],
    [
      'an upward type',
      'src/native/a.ts',
      "import type { Value } from '../request/x.js';\nexport type A = Value;",
      'src/request/x.ts',
      'layer-native',
    ],
    ['an import across', 'src/prompt/a.ts', "export * from '../image/x.js';", 'src/image/x.ts', 'layer-prompt'],
    ['an import of the CLI', 'src/batch/a.ts', "export * from '../cli/x.js';", 'src/cli/x.ts', 'layer-batch'],
    ['the public API from within', 'src/cli/a.ts', "export * from '../index.js';", 'src/index.ts', 'layer-cli'],
    ['an unknown folder', 'src/cli/a.ts', "export * from '../util/x.js';", 'src/util/x.ts', 'known-folders'],
    ['a loop', 'src/cli/a.ts', "export { value } from './x.js';", 'src/cli/x.ts', 'no-cycles'],
    ['a missing file', 'src/cli/a.ts', "export * from './y.js';", 'src/cli/x.ts', 'resolvable'],
    ['the page of the browser', 'src/server/a.ts', "import '../web/x.js';\n", 'src/web/x.ts', 'web-alone'],
    ['imports of the page', 'src/web/a.ts', "import '../request/x.js';\n", 'src/request/x.ts', 'web-alone-from'],
    ['a dev package', 'src/cli/a.ts', "export * from 'fast-check';", 'src/cli/x.ts', 'declared-packages'],
  ])('refuses %s', (_case, path, text, other, rule) => {
    const back = rule === 'no-cycles' ? "import './a.js';\n" : '';
    const { status, stdout } = cruise({ [path]: text, [other]: back + VALUE });
    expect(stdout).toContain(`error ${rule}: ${path}`);
    expect(status).toBeGreaterThan(0);
  });

  it('knows every folder of src/, and the page of the browser', () => {
    const entries = readdirSync(join(ROOT, 'src')).filter((name) => name !== 'index.ts');
    expect(entries.filter((name) => ![...FOLDERS, 'web'].includes(name))).toEqual([]);
  });
});

/** Files that reach for a compiled addon by themselves: an import rule cannot see a path made at run time. */
function addonLoaders(files: Record<string, string>): string[] {
  return Object.keys(files).filter((path) => /\bcreateRequire\b|\bdlopen\b|\.node['"`]/.test(files[path] ?? ''));
}

describe('the addon', () => {
  it('is loaded in src/native only', () => {
    const paths = filesUnder(join(ROOT, 'src'), /\.ts$/);
    const files = Object.fromEntries(paths.map((path) => [path, readFileSync(join(ROOT, 'src', path), 'utf8')]));
    const loaders = addonLoaders(files);
    expect(loaders.filter((path) => !path.startsWith('native/'))).toEqual([]);
    expect(loaders.length).toBeGreaterThan(0);
  });

  it('is found elsewhere by the check', () => {
    const file = "import { createRequire } from 'node:module';\n";
    expect(addonLoaders({ 'cli/a.ts': file, 'cli/b.ts': "process.dlopen(m, 'x')", 'cli/c.ts': VALUE })).toEqual([
      'cli/a.ts',
      'cli/b.ts',
    ]);
  });
});
