import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packFolder } from '../../scripts/check-package.mjs';
import { readImageInfo } from '../../src/image/codec.js';
import { ROOT } from '../support/project.js';
import { tinyModelPath } from '../support/tiny-model.js';

/**
 * What `npm pack` makes is installed by npm into a folder of its own, without the network: the packages that it depends
 * on, and no others, lie there already, copied from this project's. So the tarball must hold all else, the addon of
 * this machine included.
 */
let folder: string;
/** npm and tsc on a busy machine. */
const PATIENCE_MS = 300_000;

function run(program: string, args: readonly string[]): SpawnSyncReturns<string> {
  const own = { HOME: folder, XDG_CONFIG_HOME: undefined, SDGEN_CONFIG: undefined, SDGEN_ADDON: undefined };
  const env = { ...process.env, ...own, NODE_V8_COVERAGE: undefined, NODE_PATH: undefined };
  return spawnSync(program, args, { cwd: folder, encoding: 'utf8', env });
}

interface LockEntry {
  readonly dev?: boolean;
  readonly bin?: Record<string, string>;
}

function copyDependencies(): void {
  const lock: { packages: Record<string, LockEntry> } = JSON.parse(
    readFileSync(join(ROOT, 'package-lock.json'), 'utf8'),
  );
  const needed = Object.entries(lock.packages).filter(([path, { dev }]) => path !== '' && dev !== true);
  for (const [path, { bin }] of needed) {
    if (!existsSync(join(ROOT, path))) continue; // made for another platform
    cpSync(join(ROOT, path), join(folder, path), { recursive: true });
    for (const name of Object.keys(bin ?? {})) {
      const link = join('node_modules', '.bin', name);
      cpSync(join(ROOT, link), join(folder, link), { verbatimSymlinks: true });
    }
  }
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sdgen-consumer-'));
  const manifest = { name: 'consumer', version: '1.0.0', private: true, type: 'module' };
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
  copyDependencies();
  const { name, bytes } = packFolder(ROOT);
  writeFileSync(join(folder, name), bytes);
  const flags = ['--offline', '--ignore-scripts', '--no-audit', '--no-fund', '--cache', join(folder, 'cache')];
  const { status, stderr } = run('npm', ['install', ...flags, `./${name}`]);
  if (status !== 0) throw new Error(`npm install: ${stderr}`);
  mkdirSync(join(folder, 'models'));
  cpSync(await tinyModelPath(), join(folder, 'models', 'micro1.safetensors'));
}, PATIENCE_MS);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the installed package', { timeout: PATIENCE_MS }, () => {
  it('has a command that finds nothing wrong and makes a picture', async () => {
    const command = join(folder, 'node_modules', '.bin', 'sdgen');
    expect(run(command, ['doctor'])).toMatchObject({ status: 0, stderr: '' });
    const size = ['--width', '64', '--height', '64', '--steps', '2', '--quiet', '--output', 'x.png'];
    expect(run(command, ['txt2img', '-p', 'a fox', '-m', 'micro1', ...size])).toMatchObject({
      status: 0,
      stdout: 'x.png\n',
      stderr: '',
    });
    expect(await readImageInfo(readFileSync(join(folder, 'x.png')))).toMatchObject({ width: 64, height: 64 });
    // Pictures are prepared in a thread whose file the package has to bring.
    const again = ['x.png', '-p', 'a fox', '-m', 'micro1', '--steps', '2', '--quiet', '--output', 'y.png'];
    expect(run(command, ['img2img', ...again])).toMatchObject({ status: 0, stdout: 'y.png\n', stderr: '' });
  });

  it("runs the README's example of the library", async () => {
    const [, example] = /^```js\n([\s\S]*?)^```$/m.exec(readFileSync(join(ROOT, 'README.md'), 'utf8')) ?? [];
    expect(example).toContain("from 'sdgen'");
    writeFileSync(join(folder, 'example.js'), example ?? '');
    const { status, stdout, stderr } = run(process.execPath, ['example.js']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/step 20 of 20, sigma \d/);
    const info = await readImageInfo(readFileSync(join(folder, 'castle.png')));
    expect(info).toMatchObject({ width: 128, height: 128 });
    expect(info.texts[0]?.text).toMatch(/^a castle on a pink background\n.*Seed: 42/);
  });

  it('has types for a program that is checked as strictly as can be', () => {
    const program = `
      import { FailureError, type GenerateEvent, generate } from 'sdgen';
      const events: AsyncGenerator<GenerateEvent, void, void> = generate({ prompt: 'a' }, { model: 'micro1' });
      for await (const event of events) {
        if (event.type === 'image') { const pixels: Uint8Array = event.image.pixels; void pixels; }
        if (event.type === 'step') { const sigma: number = event.sigma; void sigma; }
      }
      // @ts-expect-error a request has no such field
      generate({ prompt: 'a', stepps: 3 }, {});
      // @ts-expect-error an event has no such type
      for await (const event of events) if (event.type === 'stepp') break;
      const { code }: { code: string } = new FailureError('E_IO', 'x');
      void code;`;
    writeFileSync(join(folder, 'program.ts'), program);
    const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
    const flags = ['--strict', '--noEmit', '--module', 'nodenext', '--target', 'es2023', '--skipLibCheck', 'false'];
    const types = ['--types', 'node', '--typeRoots', join(ROOT, 'node_modules', '@types')];
    const { status, stdout } = run(process.execPath, [tsc, ...flags, ...types, 'program.ts']);
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
  });

  it("brings the server's page", () => {
    const page = join(folder, 'node_modules', 'sdgen', 'dist', 'web');
    const script = /src="\.?\/?(assets\/[^"]+\.js)"/.exec(readFileSync(join(page, 'index.html'), 'utf8'))?.[1] ?? '';
    expect(script).not.toBe('');
    expect(existsSync(join(page, script))).toBe(true);
  });

  it('offers nothing below its one entry', () => {
    const script = "import('sdgen/dist/cli/main.js').catch((error) => console.log(error.code))";
    expect(run(process.execPath, ['-e', script]).stdout).toBe('ERR_PACKAGE_PATH_NOT_EXPORTED\n');
  });
});
