import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { BatchItem } from '../../../src/batch/items.js';
import { Journal } from '../../../src/batch/journal.js';
import { Sheets } from '../../../src/batch/sheets.js';
import { encodePng } from '../../../src/image/codec.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sdgen-sheets-'));
  for (const name of ['a.png', 'b.png']) {
    await writeFile(join(folder, name), await encodePng(new Uint8Array(12).fill(name.charCodeAt(0)), 2, 2));
  }
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** An item at one value of x, on the sheet of one value of z. */
function itemOf(index: number, z: number): BatchItem {
  const axes = [
    { axis: 'z' as const, field: 'seed', index: z, label: `z${z}` },
    { axis: 'x' as const, field: 'steps', index: 0, label: 'x' },
  ];
  return { index, line: { repeats: 1 }, origin: { line: 1, repeat: 1, axes } } as unknown as BatchItem;
}

it('numbers sheets in the order of the file, whichever item ended first', async () => {
  const journal = await Journal.open(join(folder, 'journal'));
  const write = async (items: readonly (readonly [number, string])[]) => {
    const sheets = new Sheets();
    for (const [z, file] of items) sheets.add(itemOf(z, z), file);
    return sheets.write(folder, journal, () => '2026-01-01T00:00:00.000Z');
  };
  try {
    expect(
      await write([
        [1, 'b.png'],
        [0, 'a.png'],
      ]),
    ).toEqual(['sheet-0001.png', 'sheet-0002.png']);
    expect(
      await write([
        [0, 'a.png'],
        [1, 'b.png'],
      ]),
    ).toEqual([]);
  } finally {
    await journal.close();
  }
  expect((await readdir(folder)).filter((name) => name.startsWith('sheet'))).toHaveLength(2);
});
