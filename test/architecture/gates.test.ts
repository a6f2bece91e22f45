import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { COVERAGE_LINES } from '../../scripts/coverage-gate.mjs';
import { STAGES } from '../../scripts/test/stages.mjs';
import config from '../../vitest.config.js';
import { ROOT, runTool } from '../support/project.js';

mkdirSync(join(ROOT, 'build'), { recursive: true });
// Within the project, so that planted files find its packages.
const folder = mkdtempSync(join(ROOT, 'build', 'gates-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('npm test', () => {
  it('has every gate as a stage', () => {
    const names = STAGES.map((stage) => stage.name);
    expect(names).toEqual([
      'build',
      'lint',
      'lint:native',
      'imports',
      'typecheck',
      'typecheck:web',
      'package',
      'native',
      'vitest',
    ]);
  });
});

describe('biome', () => {
  const config = JSON.parse(readFileSync(join(ROOT, 'biome.json'), 'utf8'));

  /** Runs the project's rules over one planted file. */
  function check(text: string) {
    const root = mkdtempSync(join(tmpdir(), 'sdgen-biome-'));
    mkdirSync(join(root, 'src'));
    writeFileSync(join(root, 'src', 'planted.ts'), text);
    // The planted project is no git checkout, and its own configuration is not what is checked.
    const planted = { ...config, $schema: undefined, vcs: undefined, files: { includes: ['src/**'] } };
    writeFileSync(join(root, 'biome.json'), JSON.stringify(planted));
    const ended = runTool('biome', ['ci', '--error-on-warnings', 'src'], root);
    rmSync(root, { recursive: true });
    return { status: ended.status, output: ended.stdout + ended.stderr };
  }

  it.each([
    ['any', 'export const a: any = 1;\n', 'noExplicitAny'],
    ['a non-null assertion', 'export const a = (b?: string) => b!.length;\n', 'noNonNullAssertion'],
    ['a stray console.log', "console.log('here');\n", 'noConsole'],
    ['an unused import', "import { join } from 'node:path';\n", 'noUnusedImports'],
    ['a wrong format', 'export const a = "1"\n', 'format'],
  ])('refuses %s', (_case, text, rule) => {
    const { status, output } = check(text);
    expect(output).toContain(rule);
    expect(status).toBe(1);
  });

  it('accepts a clean file', () => {
    expect(check("export const a = '1';\n")).toMatchObject({ status: 0 });
  });

  it('looks at all code', () => {
    expect(config.files.includes).toEqual(expect.arrayContaining(['src/**', 'test/**', 'scripts/**', 'bin/**']));
  });
});

describe('lint:native', () => {
  /** Runs the native gate over a project of one planted source. */
  function check(path: string, text: string) {
    const root = mkdtempSync(join(tmpdir(), 'sdgen-native-'));
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
    writeFileSync(join(root, 'CMakeLists.txt'), readFileSync(join(ROOT, 'CMakeLists.txt')));
    const ended = runTool('node', [join(ROOT, 'scripts', 'lint-native.mjs'), root]);
    rmSync(root, { recursive: true });
    return { status: ended.status, output: ended.stdout + ended.stderr };
  }

  it.each([
    ['a call of libm', 'native/models/a.cpp', 'float a(float x) { return std::exp(x); }\n', 'a.cpp:1: libm'],
    ['an upward include', 'native/graph/a.cpp', '#include "sampling/sampler.h"\n', 'a.cpp:1: layers'],
    ['a call that ends the process', 'native/base/a.cpp', 'void a() { std::abort(); }\n', 'a.cpp:1: ending'],
    ['a file too long', 'native/base/a.cpp', '\n'.repeat(401), 'length'],
  ])('refuses %s', (_case, path, text, message) => {
    const { status, output } = check(path, text);
    expect(output).toContain(message);
    expect(status).toBe(1);
  });

  it('accepts a clean file', () => {
    expect(check('native/base/a.cpp', '#include "base/error.h"\n')).toMatchObject({ status: 0 });
  });
});

describe('typecheck', () => {
  it('refuses a wrong type, an unchecked index and an unused name', () => {
    const text = 'const unused = 1;\nexport const a: string = 1;\nexport const b: number = [1][0];\n';
    writeFileSync(join(folder, 'planted.ts'), text);
    const planted = { extends: '../../tsconfig.test.json', compilerOptions: { rootDir: '.' }, include: ['planted.ts'] };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(planted));
    const { status, stdout } = runTool('tsc', ['-p', folder]);
    expect([...stdout.matchAll(/TS\d+/g)].map(([code]) => code).sort()).toEqual(['TS2322', 'TS2322', 'TS6133']);
    expect(status).toBeGreaterThan(0);
  });
});

describe('package', () => {
  const sound = { name: 'planted', version: '1.0.0', type: 'module', files: ['index.js', 'index.d.ts'] };

  /** Checks what npm packs of a planted package. */
  function check(manifest: object) {
    const root = mkdtempSync(join(folder, 'package-'));
    const files = { 'package.json': JSON.stringify({ ...sound, ...manifest }), 'index.js': 'export const a = 1;\n' };
    for (const [name, text] of Object.entries(files)) writeFileSync(join(root, name), text);
    writeFileSync(join(root, 'index.d.ts'), 'export declare const a: number;\n');
    const ended = runTool('node', [join(ROOT, 'scripts', 'check-package.mjs'), root]);
    return { status: ended.status, output: ended.stdout + ended.stderr };
  }
  const exporting = (types: string, module: string) => ({ exports: { '.': { types, default: module } } });

  it.each([
    ['an export that is not packed', exporting('./index.d.ts', './gone.js'), 'gone.js'],
    ['types that are not there', exporting('./gone.d.ts', './index.js'), 'gone.d.ts'],
    ['no types at all', { ...exporting('./gone.d.ts', './index.js'), files: ['index.js'] }, 'no types'],
    ['types for another kind of module', { ...exporting('./index.d.ts', './index.cjs'), files: ['index.cjs'] }, 'cjs'],
  ])('refuses %s', (_case, manifest, message) => {
    const { status, output } = check(manifest);
    expect(output).toContain(message);
    expect(status).toBe(1);
  });

  it('accepts a sound package', () => {
    expect(check(exporting('./index.d.ts', './index.js'))).toMatchObject({ status: 0 });
  });
});

describe('vitest', () => {
  /** Runs the project's own vitest configuration over a planted project. */
  function runPlanted(name: string, test: string, ...args: string[]) {
    const root = join(folder, name);
    mkdirSync(join(root, 'src'), { recursive: true });
    mkdirSync(join(root, 'test'));
    writeFileSync(
      join(root, 'src', 'a.ts'),
      'export function one() {\n  return 1;\n}\n\nexport function two() {\n  return 2;\n}\n',
    );
    writeFileSync(join(root, 'src', 'never-imported.ts'), 'export function three() {\n  return 3;\n}\n');
    writeFileSync(
      join(root, 'test', 'a.test.ts'),
      `import { expect, it } from 'vitest';\nimport { one } from '../src/a.js';\n${test}`,
    );
    return runTool('vitest', ['run', '--root', root, '--config', join(ROOT, 'vitest.config.ts'), ...args], root);
  }

  it('fails when a test fails, and passes when it passes', () => {
    expect(runPlanted('passing', "it('a', () => expect(one()).toBe(1));\n").status).toBe(0);
    expect(runPlanted('failing', "it('a', () => expect(one()).toBe(2));\n").status).toBe(1);
  });

  it(`fails below ${COVERAGE_LINES} % of the lines, files that no test imports included`, () => {
    const { status, stdout, stderr } = runPlanted('covering', "it('a', () => expect(one()).toBe(1));\n", '--coverage');
    expect(stdout + stderr).toMatch(/Coverage for lines \(33\.\d+%\) does not meet global threshold \(90%\)/);
    expect(status).toBe(1);
    const summary = JSON.parse(readFileSync(join(folder, 'covering', 'coverage', 'coverage-summary.json'), 'utf8'));
    expect(summary.total.lines).toMatchObject({ total: 3, covered: 1 });
  });

  it('counts src/ in its gate', () => {
    expect(config.test?.coverage).toMatchObject({ include: ['src/**/*.ts'], thresholds: { lines: COVERAGE_LINES } });
  });
});
