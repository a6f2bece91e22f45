import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { gridName, nextNumber, numbered, pictureName } from '../../../src/image/filename.js';

const folder = mkdtempSync(join(tmpdir(), 'sdgen-names-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('nextNumber', () => {
  it('is one more than the highest, whatever else lies there', async () => {
    expect(await nextNumber(join(folder, 'none'))).toBe(1);
    expect(await nextNumber(folder)).toBe(1);
    for (const name of ['00002-7.png', '00009.txt', '123.png', '1234567890123-1.png', 'grid-0042.png', '2024-01.png']) {
      writeFileSync(join(folder, name), '');
    }
    expect(await nextNumber(folder)).toBe(10);
    writeFileSync(join(folder, '99999-1.png'), '');
    expect(await nextNumber(folder)).toBe(100_000);
    writeFileSync(join(folder, '100000-1.png'), '');
    expect(await nextNumber(folder)).toBe(100_001);
  });

  it('says when the folder is none', async () => {
    await expect(nextNumber(join(folder, '00009.txt'))).rejects.toMatchObject({
      code: 'E_IO',
      message: expect.stringMatching(/^cannot read the folder .*: a part of the path is not a folder$/),
    });
  });
});

describe('names', () => {
  it('of pictures and grids', () => {
    expect([pictureName(1, 42), pictureName(123456, 0)]).toEqual(['00001-42.png', '123456-0.png']);
    expect(gridName(7)).toBe('grid-0007.png');
  });

  it.each<[string, number, number, string]>([
    ['x.png', 1, 1, 'x.png'],
    ['x.png', 2, 3, 'x-2.png'],
    ['out/a.b.png', 1, 2, 'out/a.b-1.png'],
    ['/tmp/x', 10, 12, '/tmp/x-10'],
    ['.png', 1, 2, '.png-1'],
  ])('%s, picture %i of %i', (path, index, total, name) => {
    expect(numbered(path, index, total)).toBe(name);
  });
});
