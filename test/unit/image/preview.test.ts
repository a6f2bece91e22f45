import { describe, expect, it } from 'vitest';
import { previewLatent } from '../../../src/image/preview.js';

/** Two pictures of 2×1 cells; `values` by picture, channel, cell. */
const latent = (...values: number[]) => ({
  data: Float32Array.from(values),
  batch: 2,
  channels: 4,
  height: 1,
  width: 2,
});

describe('previewLatent', () => {
  it('gives each cell its sum of the channels colours, 0 being grey', () => {
    const [first, second] = previewLatent(latent(0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, -1)) ?? [];
    expect(first).toMatchObject({ width: 2, height: 1 });
    // (v + 1)/2·255 of the first channel's colour 0.298, 0.207, 0.208, rounded.
    expect([...(first?.data ?? [])]).toEqual([128, 128, 128, 165, 154, 154]);
    expect([...(second?.data ?? [])]).toEqual([104, 93, 67, 151, 162, 188]);
  });

  it('stays within a byte, whatever the latent', () => {
    const large = 1e30;
    const [first] = previewLatent(latent(...Array(8).fill(large), ...Array(8).fill(-large))) ?? [];
    expect(first?.data.every((value) => value === 0 || value === 255)).toBe(true);
  });

  it('knows no colours of other latents', () => {
    expect(previewLatent({ data: new Float32Array(16), batch: 1, channels: 16, height: 1, width: 1 })).toBeUndefined();
  });
});
