import { describe, expect, it } from 'vitest';
import { gridLayout, MAX_GRID_PIXELS, makeGrid } from '../../../src/image/grid.js';
import type { DecodedImage } from '../../../src/native/types.js';
import { UsageError } from '../../../src/request/errors.js';

function picture(width: number, height: number, value: number): DecodedImage {
  return { data: new Uint8Array(width * height * 3).fill(value), width, height };
}

function reds({ data, width }: DecodedImage): number[][] {
  const red = Array.from(data).filter((_, i) => i % 3 === 0);
  return Array.from({ length: red.length / width }, (_, y) => red.slice(y * width, (y + 1) * width));
}

describe('gridLayout', () => {
  it.each<[number, number | 'auto' | 'full', number, number]>([
    [1, 'auto', 1, 1],
    [2, 'auto', 1, 2],
    [3, 'auto', 2, 2],
    [6, 'auto', 2, 3],
    [7, 'auto', 3, 3],
    [9, 'auto', 3, 3],
    [6, 'full', 2, 3],
    [7, 'full', 1, 7],
    [12, 'full', 3, 4],
    [5, 2, 2, 3],
    [2, 4, 2, 1],
  ])('%i pictures in %s rows: %i x %i', (count, rows, expectedRows, columns) => {
    expect(gridLayout(count, rows)).toEqual({ rows: expectedRows, columns });
  });

  it.each<[number, number]>([
    [0, 1],
    [1.5, 1],
    [2, 0],
    [2, 1.5],
    [2, Number.NaN],
  ])('refuses %d pictures in %d rows', (count, rows) => {
    expect(() => gridLayout(count, rows)).toThrow(RangeError);
  });
});

describe('makeGrid', () => {
  it('sets pictures row by row and leaves empty cells white', () => {
    const grid = makeGrid([picture(2, 1, 1), picture(2, 1, 2), picture(2, 1, 3)]);
    expect([grid.width, grid.height]).toEqual([4, 2]);
    expect(reds(grid)).toEqual([
      [1, 1, 2, 2],
      [3, 3, 255, 255],
    ]);
  });

  it('centres smaller pictures in a cell of the largest', () => {
    expect(reds(makeGrid([picture(3, 3, 1), picture(1, 2, 2)], { rows: 1 }))).toEqual([
      [1, 1, 1, 255, 2, 255],
      [1, 1, 1, 255, 2, 255],
      [1, 1, 1, 255, 255, 255],
    ]);
  });

  it('keeps the three channels apart', () => {
    const image = { data: Uint8Array.of(1, 2, 3, 4, 5, 6), width: 2, height: 1 };
    expect([...makeGrid([image]).data]).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('refuses a sheet that is too large before making it, and pictures that lie about their size', () => {
    const wide = picture(20_000, 1, 0);
    const tall = picture(1, 20_000, 0);
    const refused = (): unknown => makeGrid([wide, tall]);
    expect(refused).toThrow(new RegExp(`40000 x 20000 pixels, more than ${MAX_GRID_PIXELS}`));
    expect(refused).toThrow(UsageError);
    expect(() => makeGrid([{ data: new Uint8Array(5), width: 2, height: 1 }])).toThrow(RangeError);
    expect(() => makeGrid([])).toThrow(RangeError);
  });
});
