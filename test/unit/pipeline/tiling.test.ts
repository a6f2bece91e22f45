import { describe, expect, it } from 'vitest';
import { chooseTiling, tilingToTell } from '../../../src/pipeline/tiling.js';

const size = (width: number, height: number) => ({ width, height });
const TILES = { tile: 64, overlap: 16 };

describe('tiling', () => {
  it.each([
    ['auto', size(512, 512), 'none', undefined],
    ['auto', size(1024, 1024), 'none', undefined],
    ['auto', size(1032, 1024), TILES, undefined],
    ['auto', size(4096, 256), 'none', undefined],
    ['on', size(512, 512), 'none', undefined],
    ['on', size(520, 512), TILES, 'on'],
    ['on', size(2048, 2048), TILES, undefined],
    ['off', size(1024, 1024), 'none', undefined],
    ['off', size(2048, 2048), 'none', 'off'],
  ] as const)('%s for %o is %o, and the picture says %s', (choice, picture, tiling, told) => {
    expect(chooseTiling(choice, picture, 8)).toEqual(tiling);
    expect(tilingToTell(tiling, picture)).toBe(told);
    // What the picture says, or auto where it says nothing, makes the same again.
    expect(chooseTiling(told ?? 'auto', picture, 8)).toEqual(tiling);
  });
});
