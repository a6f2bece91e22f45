import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { main, makeTinyModel } from '../../../scripts/make-tiny-model.mjs';
import { ARCHITECTURES, tensorsOf } from '../../../scripts/tiny-model/layout.mjs';
import { halfBits } from '../../../scripts/tiny-model/values.mjs';

const folder = mkdtempSync(join(tmpdir(), 'sdgen-tiny-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const dataOf = (file: Buffer) => file.subarray(8 + Number(file.readBigUInt64LE(0)));

/** Value of a finite half, from its definition. */
function halfValue(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

describe('halfBits', () => {
  it('gives every finite half back', () => {
    for (let bits = 0; bits < 0x10000; bits++) {
      if (((bits >> 10) & 31) !== 31) expect(halfBits(halfValue(bits))).toBe(bits);
    }
  });

  it('rounds to the nearest, ties to even', () => {
    const positive = fc.float({ min: 0, max: 65504, noNaN: true });
    fc.assert(
      fc.property(positive, (value) => {
        const bits = halfBits(value) & 0x7fff;
        const error = Math.abs(halfValue(bits) - value);
        for (const neighbour of [bits - 1, bits + 1]) {
          if (neighbour < 0 || neighbour >= 0x7c00) continue;
          const other = Math.abs(halfValue(neighbour) - value);
          expect(error < other || (error === other && bits % 2 === 0)).toBe(true);
        }
      }),
      { numRuns: 2000 },
    );
    expect(halfBits(2 ** -25)).toBe(0);
    expect(halfBits(3 * 2 ** -25)).toBe(2);
    expect(halfBits(-(1 + 2 ** -11))).toBe(0xbc00);
    expect(halfBits(1 + 3 * 2 ** -11)).toBe(0x3c02);
  });

  it('overflows to infinity and keeps NaN', () => {
    expect(halfBits(Math.fround(65519.99))).toBe(0x7bff);
    expect(halfBits(65520)).toBe(0x7c00);
    expect(halfBits(-Infinity)).toBe(0xfc00);
    expect(halfBits(Number.NaN)).toBe(0x7e00);
  });
});

describe('makeTinyModel', () => {
  it.each([
    ['micro1', '04706de21fb5c1eac63e8e3fefc803f9e0bd8b11cfe8e4f3ea0f297ec31f40db'],
    ['micro2', 'e9545d4cf01d4e76cebc8cbfd3cbf42bd76b959066ee54cf9872ab51521a44a8'],
    ['tiny1', 'a541646c803b6df111f31a02eadbe99e120d5d75ea3503e7bf1c1daa6c0904df'],
    ['tiny2', '95aa9bc070f2a2713db8856194bbace62fd0687d6955a31909b672f4bed1ee9a'],
  ])('writes the bits that the reference values were computed with: %s', async (arch, expected) => {
    const path = join(folder, `${arch}.safetensors`);
    await makeTinyModel({ path, arch });
    expect(sha256(dataOf(readFileSync(path)))).toBe(expected);
  });

  it.each([
    ['micro1', 'F16', 7, '792b113f42fc2ba494fb945d067313e5624b0c103909a64d044fab9d6eb2fde2'],
    ['micro1', 'F32', 7, 'c7c274a517b45efe43e5b5771a88392facbd1ab74fdb38f39918f1b79d5bd431'],
    ['micro2', 'F16', 4294967295, '228860e259b91cd2557c82b3522f076c4b2e04c9025c950a861014f6c577f699'],
  ] as const)('writes the same whole file, header too: %s %s %d', async (arch, dtype, seed, expected) => {
    const path = join(folder, `${arch}-${dtype}-${seed}.safetensors`);
    await makeTinyModel({ path, arch, dtype, seed });
    expect(sha256(readFileSync(path))).toBe(expected);
  });

  it('writes the same bytes with any number of threads', async () => {
    const digests = [];
    for (const threads of [1, 3]) {
      const path = join(folder, `tiny2-${threads}.safetensors`);
      const sizes: number[] = [];
      await makeTinyModel({ path, arch: 'tiny2', threads, onProgress: (done, total) => sizes.push(done / total) });
      expect(sizes.length).toBeGreaterThan(1);
      expect(sizes.at(-1)).toBe(1);
      digests.push(sha256(readFileSync(path)));
    }
    expect(digests[0]).toBe(digests[1]);
  });

  it.each([
    ['sd1', 'model.diffusion_model.', 859_520_964],
    ['sd1', 'first_stage_model.', 83_653_863],
    ['sd1', 'cond_stage_model.', 123_060_480],
    ['sd2', 'model.diffusion_model.', 865_910_724],
  ])('has as many parameters as the real %s: %s', (arch, prefix, expected) => {
    const chosen = ARCHITECTURES[arch];
    const tensors = chosen === undefined ? [] : tensorsOf(chosen).filter(({ name }) => name.startsWith(prefix));
    expect(tensors.reduce((sum, { elements }) => sum + elements, 0)).toBe(expected);
  });

  it('refuses to replace a file of another kind, and leaves nothing behind when it fails', async () => {
    const path = join(folder, 'precious.safetensors');
    writeFileSync(path, 'something else');
    await expect(makeTinyModel({ path, arch: 'micro1' })).rejects.toThrow(/precious.*exists.*--force/);
    expect(readFileSync(path, 'utf8')).toBe('something else');
    await makeTinyModel({ path, arch: 'micro1', force: true });
    await makeTinyModel({ path, arch: 'micro1' });
    await expect(makeTinyModel({ path: folder, arch: 'micro1', force: true })).rejects.toThrow();
    const stopped = AbortSignal.abort();
    const target = join(folder, 'stopped.safetensors');
    await expect(makeTinyModel({ path: target, arch: 'micro1', signal: stopped })).rejects.toThrow(/abort/);
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp') || name.startsWith('stopped'))).toEqual([]);
  });
});

describe('command line', () => {
  const run = async (...argv: string[]) => {
    const out: string[] = [];
    const err: string[] = [];
    const streams = { out: (line: string) => out.push(line), err: (text: string) => err.push(text), tty: false };
    return { code: await main(argv, streams), out: out.join('\n'), err: err.join('') };
  };

  it.each([
    [[], /name the file/],
    [['x.safetensors'], /--arch is missing/],
    [['x.safetensors', '--arch', 'sd9'], /"sd9".*known: sd1/],
    [['x.safetensors', '--arch', 'micro1', '--dtype', 'F8'], /"F8".*F16, F32/],
    [['x.safetensors', '--arch', 'micro1', '--seed', '-1'], /seed/],
    [['x.safetensors', '--arch', 'micro1', '--seed', '4294967296'], /seed/],
    [['x.safetensors', 'y.safetensors', '--arch', 'micro1'], /one file at a time/],
    [['--nonsense'], /nonsense/],
  ])('usage error: %j', async (argv, message) => {
    const { code, err } = await run(...argv);
    expect(code).toBe(2);
    expect(err).toMatch(message);
    expect(err).toContain('usage: ');
  });

  it('writes a model and says what it is', async () => {
    const path = join(folder, 'cli', 'm.safetensors');
    const { code, out, err } = await run('--arch', 'micro1', path);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toContain('964 tensors, 10.5 MiB, random weights (seed 7)');
    expect((await run('--help')).out).toContain('usage: ');
  });

  it('fails with exit code 1 and one line', async () => {
    const { code, err } = await run('--arch', 'micro1', '/dev/null/m.safetensors');
    expect(code).toBe(1);
    expect(err.trim().split('\n')).toHaveLength(1);
  });
});
