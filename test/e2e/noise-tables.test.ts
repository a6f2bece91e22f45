import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { makeTinyFolder } from '../../scripts/make-tiny-model.mjs';
import { loadAddon } from '../../src/native/load.js';
import type { NativeModel } from '../../src/native/types.js';
import { EditableSafetensors } from '../support/edit-safetensors.js';
import { tinyFolderPath, tinyModelPath } from '../support/tiny-model.js';

const scratch = mkdtempSync(join(tmpdir(), 'sdgen-noise-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

async function withModel<T>(path: string, use: (model: NativeModel) => T | Promise<T>): Promise<T> {
  const model = await (await loadAddon()).openModel({ path, device: 'reference', precision: 'fp32', threads: 1 });
  try {
    return await use(model);
  } finally {
    await model.close();
  }
}

/** Rounded to nearest even, as checkpoints are. */
function bfloat16(values: Float32Array): Buffer {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return Buffer.from(Uint16Array.from(bits, (word) => (word + 0x7fff + ((word >> 16) & 1)) >>> 16).buffer);
}

/** Cumulative alphas in float64: betas evenly between two, or their roots. */
function alphasOf(first: number, last: number, isScaled: boolean): number[] {
  const [from, to] = isScaled ? [Math.sqrt(first), Math.sqrt(last)] : [first, last];
  let product = 1;
  return Array.from({ length: 1000 }, (_, i) => {
    const root = from + (i / 999) * (to - from);
    product *= 1 - (isScaled ? root * root : root);
    return product;
  });
}

describe('a table of alphas that is stored in BF16', () => {
  async function noiseWith(alphas: Float32Array) {
    const file = new EditableSafetensors(await tinyModelPath());
    file.set('alphas_cumprod', 'BF16', [1000], bfloat16(alphas));
    return withModel(file.write(join(scratch, 'bf16.safetensors')), (model) => model.describe().noise);
  }

  it("is not used where rounding made its first alpha 1: the family's own is", async () => {
    const { origin, alphasCumprod } = await noiseWith(Float32Array.from(alphasOf(0.00085, 0.012, true)));
    // 0.99915 lies nearer to 1 than to 255/256: sigma would begin at 0.
    expect(origin).toBe('default');
    expect(alphasCumprod[0]).toBeCloseTo(1 - 0.00085, 14);
  });

  it('is used where it still is one', async () => {
    const alphas = Float32Array.from({ length: 1000 }, (_, i) => 0.99 - 0.98 * (i / 999));
    const { origin, alphasCumprod } = await noiseWith(alphas);
    expect(origin).toBe('weights');
    for (const [i, alpha] of alphasCumprod.entries()) {
      expect(Math.abs(alpha - (alphas[i] ?? 0))).toBeLessThanOrEqual((alphas[i] ?? 0) * 2 ** -8);
    }
  });
});

describe("a folder's scheduler", () => {
  async function noiseFor(scheduler: object) {
    const copy = mkdtempSync(join(scratch, 'folder-'));
    cpSync(await tinyFolderPath('micro1'), copy, { recursive: true });
    writeFileSync(join(copy, 'scheduler/scheduler_config.json'), JSON.stringify(scheduler));
    return withModel(copy, (model) => model.describe().noise);
  }

  it.each([
    ['linear', { beta_schedule: 'linear', beta_start: 0.0001, beta_end: 0.02 }, alphasOf(0.0001, 0.02, false)],
    ['linear with the usual ends', { beta_schedule: 'linear' }, alphasOf(0.00085, 0.012, false)],
    [
      'scaled linear',
      { beta_schedule: 'scaled_linear', beta_start: 0.001, beta_end: 0.01 },
      alphasOf(0.001, 0.01, true),
    ],
  ])('counts by its betas: %s', async (_, scheduler, expected) => {
    const { origin, alphasCumprod } = await noiseFor(scheduler);
    expect(origin).toBe('config');
    for (const [i, alpha] of alphasCumprod.entries()) {
      expect(Math.abs(alpha / (expected[i] ?? Number.NaN) - 1)).toBeLessThan(1e-12);
    }
  });

  it('is refused with betas that are none', async () => {
    await expect(noiseFor({ beta_schedule: 'linear', beta_start: 0.5, beta_end: 0.1 })).rejects.toThrow(/beta_start/);
    // Products below what a number holds would make the last sigma infinite.
    await expect(noiseFor({ beta_schedule: 'linear', beta_start: 0.5, beta_end: 0.9 })).rejects.toThrow(/some signal/);
  });
});

describe('a folder of fp16 variants', () => {
  it.each([1, 3])('gives what the full names give, in %i shards', async (shards) => {
    const variant = join(scratch, `variant-${shards}`);
    await makeTinyFolder({ path: variant, arch: 'micro1', dtype: 'F16', seed: 7, threads: 1, shards, variant: 'fp16' });
    const [mine, usual] = [variant, await tinyFolderPath('micro1', shards)];
    const text = { groups: [], clipSkip: 1, restoreMean: true };
    const encode = (path: string) =>
      withModel(path, async (model) => {
        const { positions, vocabulary } = model.describe().text;
        const tokens = new Int32Array(positions).fill(vocabulary - 1);
        const chunks = [{ tokens, weights: new Float32Array(positions).fill(1) }];
        const { conditionings } = await model.encodeText({ ...text, groups: [[{ chunks, count: 1 }]] }).promise;
        return { facts: model.describe(), data: conditionings[0]?.[0]?.data };
      });
    const [a, b] = [await encode(mine), await encode(usual)];
    expect(a.data).toEqual(b.data);
    expect(a.facts.files.every((file) => !file.endsWith('.safetensors') || file.includes('.fp16'))).toBe(true);
    expect({ ...a.facts.parameters }).toEqual({ ...b.facts.parameters });
  });

  it('is passed over where the full names lie beside it', async () => {
    const both = join(scratch, 'both');
    cpSync(join(scratch, 'variant-1'), both, { recursive: true });
    cpSync(await tinyFolderPath('micro1'), both, { recursive: true });
    const files = await withModel(both, (model) => model.describe().files);
    expect(files.filter((file) => file.includes('.fp16'))).toEqual([]);
    expect(readFileSync(join(both, 'unet/diffusion_pytorch_model.fp16.safetensors')).length).toBeGreaterThan(0);
  });
});
