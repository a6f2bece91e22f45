import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LATENT_RESIZES, type Latent, type LatentResize, type NativeModel } from '../../src/native/types.js';
import { openTinyModel } from '../support/native-model.js';
import { ROOT } from '../support/project.js';
import { readSafetensors, type Tensor } from '../support/safetensors.js';

const fixture = readSafetensors(join(ROOT, 'test/fixtures/resize/latents.safetensors'));
const SIZES = ['14x10', '11x8', '4x3', '7x9', '16x5', '1x1'];

let model: NativeModel;
beforeAll(async () => {
  model = await openTinyModel();
});
afterAll(() => model?.close());

function latentOf({ data, shape }: Tensor): Latent {
  const [batch = 0, channels = 0, height = 0, width = 0] = shape;
  return { data: Float32Array.from(data), batch, channels, height, width };
}

const resized = async (latent: Latent, width: number, height: number, mode: LatentResize): Promise<Latent> =>
  (await model.resizeLatent({ latent, width, height, mode }).promise).latent;

function furthest(a: Latent, b: Latent): number {
  const largest = b.data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return a.data.reduce((most, value, i) => Math.max(most, Math.abs(value - (b.data[i] ?? Number.NaN))), 0) / largest;
}

describe('resized latents', () => {
  it.each(LATENT_RESIZES.flatMap((mode) => SIZES.map((size) => [mode, size] as const)))(
    '%s to %s',
    async (mode, size) => {
      const expected = latentOf(fixture.get(`${mode}.${size}`));
      const found = await resized(latentOf(fixture.get('input')), expected.width, expected.height, mode);
      expect({ ...found, data: null }).toEqual({ ...expected, data: null });
      // Nearest moves values; the others round each coefficient and each of at most 14 + 10 sums of values below 1 of the
      // largest once, 2^-24 each, where PyTorch's float64 rounds at the end alone.
      if (mode.startsWith('nearest')) expect(found.data).toEqual(expected.data);
      else expect(furthest(found, expected)).toBeLessThan(1e-6);
    },
  );

  it('takes the cells that float32 products name by nearest', async () => {
    const row = latentOf(fixture.get('row'));
    const found = await resized(row, 74, 1, 'nearest');
    expect(found.data).toEqual(fixture.get('row.nearest').data);
    const quotients = Array.from({ length: 74 }, (_, i) => row.data[Math.floor((i * 6) / 74)]);
    expect(Array.from(found.data.subarray(0, 74))).not.toEqual(quotients);
  });

  it('leaves a latent of the same size alone, and each of a batch as it is alone', async () => {
    const one = latentOf(fixture.get('input'));
    const other = { ...one, data: one.data.map((value) => 1 - value) };
    const both = { ...one, batch: 2, data: Float32Array.of(...one.data, ...other.data) };
    for (const mode of LATENT_RESIZES) {
      expect((await resized(one, one.width, one.height, mode)).data).toEqual(one.data);
      const together = await resized(both, 8, 11, mode);
      const alone = [await resized(one, 8, 11, mode), await resized(other, 8, 11, mode)];
      expect([...together.data]).toEqual(alone.flatMap(({ data }) => [...data]));
    }
  });

  it('has the bits of the contract', async () => {
    const hash = createHash('sha256');
    for (const mode of LATENT_RESIZES) {
      for (const [width, height] of [
        [8, 11],
        [3, 4],
      ] as const) {
        hash.update(new Uint8Array((await resized(latentOf(fixture.get('input')), width, height, mode)).data.buffer));
      }
    }
    expect(hash.digest('hex').slice(0, 16)).toBe('35530bb4c3b051fd');
  });

  it('refuses other shapes, modes and sizes', async () => {
    const latent = latentOf(fixture.get('input'));
    const request = { latent, width: 8, height: 8, mode: 'bicubic' as const };
    const refused: [changed: object, message: RegExp][] = [
      [{ mode: 'lanczos' }, /^mode must be one of bilinear, /],
      [{ width: 0 }, /^width must be an integer from 1/],
      [{ height: 9000 }, /latent size 8x9000: sides must be/],
      [{ latent: { ...latent, height: 8 } }, /^latent\.data must be a Float32Array of/],
    ];
    for (const [changed, message] of refused) {
      await expect(model.resizeLatent({ ...request, ...changed }).promise).rejects.toThrow(message);
    }
  });
});
