import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { lacksOutput, main, pruneDist } from '../../../scripts/build.mjs';

const folder = mkdtempSync(join(tmpdir(), 'sdgen-build-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('build', () => {
  it('removes compiled files whose source is gone, and nothing else', () => {
    const [src, dist] = [join(folder, 'src'), join(folder, 'dist')];
    for (const path of [join(src, 'cli'), join(dist, 'cli'), join(dist, 'assets')])
      mkdirSync(path, { recursive: true });
    const kept = ['cli/kept.js', 'cli/kept.js.map', 'cli/kept.d.ts', 'assets/clip-merges.txt'];
    const gone = ['cli/gone.js', 'cli/gone.js.map', 'cli/gone.d.ts', 'cli/gone.d.ts.map'];
    writeFileSync(join(src, 'cli', 'kept.ts'), '');
    for (const name of [...kept, ...gone]) writeFileSync(join(dist, name), '');
    pruneDist(dist, src);
    expect(kept.filter((name) => existsSync(join(dist, name)))).toEqual(kept);
    expect(gone.filter((name) => existsSync(join(dist, name)))).toEqual([]);
  });

  it('notices a source without its compiled file', () => {
    const [src, dist] = [join(folder, 'src2'), join(folder, 'dist2')];
    for (const path of [src, dist]) mkdirSync(path);
    for (const path of [join(src, 'a.ts'), join(dist, 'a.js')]) writeFileSync(path, '');
    expect(lacksOutput(dist, src)).toBe(false);
    writeFileSync(join(src, 'b.ts'), '');
    expect(lacksOutput(dist, src)).toBe(true);
  });

  it('refuses an unknown part', async () => {
    const error = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    expect(await main(['nativ'])).toBe(2);
    expect(error.mock.calls.join('')).toContain('known: native, ts, assets');
    error.mockRestore();
  });
});
