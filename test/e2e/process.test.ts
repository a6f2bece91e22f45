import { spawn } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { tinyModelPath } from '../support/tiny-model.js';

const BIN = fileURLToPath(new URL('../../bin/sdgen.mjs', import.meta.url));

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sdgen-process-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly out: string;
  readonly err: string;
}

/** Runs a program to its end; `onErr` sees stderr as it comes. */
function run(
  program: string,
  argv: readonly string[],
  onErr?: (text: string, kill: (signal: NodeJS.Signals) => void) => void,
  environment: Record<string, string> = {},
) {
  return new Promise<Ended>((resolve, reject) => {
    const child = spawn(program, argv, {
      cwd: folder,
      env: { ...process.env, HOME: folder, XDG_CONFIG_HOME: undefined, SDGEN_CONFIG: undefined, ...environment },
    });
    const text = { out: '', err: '' };
    child.stdout.on('data', (data: Buffer) => {
      text.out += data;
    });
    child.stderr.on('data', (data: Buffer) => {
      text.err += data;
      onErr?.(text.err, (signal) => child.kill(signal));
    });
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, ...text }));
  });
}

describe('bin/sdgen.mjs', () => {
  it('gives the exit code of the command line', async () => {
    expect(await run(process.execPath, [BIN, '--version'])).toMatchObject({ code: 0, out: '0.1.0\n', err: '' });
    const wrong = await run(process.execPath, [BIN, 'txt2img', '-p', 'x', '--width', '63']);
    expect(wrong).toMatchObject({ code: 2, out: '' });
    expect(wrong.err).toBe('error: --width must be a multiple of 8 from 16 to 16384; 63 is not\n');
  });

  it('says what to do before it is built', async () => {
    await mkdir(join(folder, 'bin'));
    await copyFile(BIN, join(folder, 'bin/sdgen.mjs'));
    expect(await run(process.execPath, [join(folder, 'bin/sdgen.mjs'), '--help'])).toMatchObject({
      code: 1,
      err: 'error: sdgen is not built yet; run `npm run build` in its folder\n',
    });
  });

  it('ends quietly when nobody reads on', async () => {
    const { code, err } = await run('/bin/sh', ['-c', `"${process.execPath}" "${BIN}" txt2img --help | head -n 1`]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
  });

  it('prints its help without loading schemas, pictures or the engine', async () => {
    // Node writes which scripts it loaded; a time would depend on the machine.
    const seen = join(folder, 'seen');
    const ended = await run(process.execPath, [BIN, '--help'], undefined, { NODE_V8_COVERAGE: seen });
    expect(ended.code).toBe(0);
    const [report] = await readdir(seen);
    const { result } = JSON.parse(await readFile(join(seen, report ?? ''), 'utf8')) as { result: { url: string }[] };
    const urls = result.map(({ url }) => url);
    expect(urls.filter((url) => url.endsWith('/dist/cli/main.js'))).toHaveLength(1);
    expect(
      urls.filter((url) => /node_modules\/(?!commander|fastest-levenshtein)|\/dist\/native\/|\.node$/.test(url)),
    ).toEqual([]);
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('ends on %s with %i and leaves no file', async (signal, code) => {
    const model = await tinyModelPath('micro1');
    const argv = [BIN, 'txt2img', '-p', 'x', '-m', model, '--width', '64', '--height', '64', '--steps', '1000'];
    let killed = false;
    const ended = await run(process.execPath, argv, (_, kill) => {
      if (killed) return;
      killed = true;
      setTimeout(() => kill(signal), 500);
    });
    expect(ended).toMatchObject({ code, signal: null, out: '' });
    expect(ended.err).toContain('interrupted: nothing was written');
    expect(await readdir(folder)).not.toContain('outputs');
  });
});
