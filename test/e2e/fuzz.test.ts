import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mendPng } from '../../scripts/fuzz/changes.mjs';
import { CORPUS, runTarget } from '../../scripts/fuzz/driver.mjs';
import { readPngTexts } from '../../src/image/png-metadata.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sdgen-fuzz-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the fuzz targets in TypeScript', () => {
  it.each([
    ['png', 3000],
    ['prompt', 300],
  ])('%s finds nothing in its corpus and its first changes', { timeout: 300_000 }, async (target, runs) => {
    const crash = join(folder, `crash-${target}`);
    const tally = await runTarget({ target, corpus: join(CORPUS, target), seconds: 0, runs, seed: 1, crash });
    expect(tally.inputs).toBe(runs);
    expect(tally.kinds).toBeGreaterThan(tally.committed);
  });
});

describe('the driver', () => {
  /** A target whose body is `script`, over a corpus of one word. */
  function job(name: string, script: string) {
    const corpus = join(folder, name);
    mkdirSync(corpus);
    writeFileSync(join(corpus, 'a.txt'), 'word');
    const module = join(folder, `${name}.mjs`);
    writeFileSync(
      module,
      `export const TARGETS = { one: { words: ['!'], load: async () => (input) => { ${script} } } };`,
    );
    const crash = join(folder, `crash-${name}`);
    const limits = { seconds: 60, runs: undefined, secondsAnInput: 1 };
    return { target: 'one', corpus, ...limits, seed: 3, crash, module: pathToFileURL(module).href };
  }

  it('keeps the input that breaks a promise', async () => {
    const broken = job('broken', "if (input.includes('!')) throw new Error('found'); return 'fine';");
    await expect(runTarget(broken)).rejects.toThrow('found');
    expect(readFileSync(broken.crash, 'utf8')).toContain('!');
  });

  it('keeps the input that takes too long', async () => {
    const slow = job('slow', "while (input.includes('!')); return 'fine';");
    await expect(runTarget(slow)).rejects.toThrow('an input took more than 1 seconds');
    expect(readFileSync(slow.crash, 'utf8')).toContain('!');
  });

  it('goes on from inputs with which something new happened, and repeats for a seed', async () => {
    const script = "return String(Math.min(input.toString('latin1').split('!').length, 5));";
    const first = await runTarget({ ...job('deep', script), runs: 500 });
    expect(first).toEqual({ inputs: 500, committed: 1, kinds: 5 });
  });

  it('mends what would hide the rest of a PNG', () => {
    const sound = readFileSync(join(CORPUS, 'png', 'text.bin'));
    const changed = Buffer.from(sound);
    changed.write('Parameters', changed.indexOf('parameters'), 'latin1');
    expect(() => readPngTexts(changed)).toThrow('checksum');
    expect(readPngTexts(mendPng(changed))[0]?.keyword).toBe('Parameters');
    expect(mendPng(sound)).toEqual(sound);
  });
});
