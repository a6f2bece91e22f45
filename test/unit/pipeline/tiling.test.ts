import { describe, expect, it } from 'vitest';
import type { GenerationPlan } from '../../../src/pipeline/plan.js';
import { chooseTiling, tilingToTell } from '../../../src/pipeline/tiling.js';

const size = (width: number, height: number) => ({ width, height });
const TILES = { tile: 64, overlap: 16 };
/** What of a plan its tiling is told by. */
const planOf = (parts: object): GenerationPlan => ({ start: null, hires: null, ...parts }) as GenerationPlan;

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
    expect(tilingToTell(planOf({ ...picture, tiling }))).toBe(told);
    // What the picture says, or auto where it says nothing, makes the same again.
    expect(chooseTiling(told ?? 'auto', picture, 8)).toEqual(tiling);
  });

  it('is told too where only what is encoded, or a first pass, is cut otherwise than usual', () => {
    const plain = { ...size(512, 512), tiling: 'none' as const };
    const large = size(1024, 768);
    for (const [tiling, told] of [
      [TILES, 'on'],
      ['none', undefined],
    ] as const) {
      expect(tilingToTell(planOf({ ...plain, start: { encoded: large, tiling } }))).toBe(told);
      const hires = { ...size(1536, 1152), tiling: TILES, resized: size(1536, 1152), resizedTiling: TILES };
      const first = { ...large, tiling };
      expect(tilingToTell(planOf({ ...first, hires: { ...hires, upscaler: 'Lanczos' } }))).toBe(told);
      // Latents are enlarged as they are: what the first pass would be decoded by counts for nothing.
      expect(tilingToTell(planOf({ ...first, hires: { ...hires, upscaler: 'Latent' } }))).toBeUndefined();
    }
    const whole = { ...size(2048, 2048), tiling: TILES, start: { encoded: size(2048, 2048), tiling: 'none' as const } };
    expect(tilingToTell(planOf(whole))).toBe('off');
  });
});
