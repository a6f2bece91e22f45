import { beforeAll, describe, expect, it } from 'vitest';
import { evaluate, fixturePath, relativeError } from '../support/eval.js';
import { readSafetensors, type Tensor } from '../support/safetensors.js';
import { tinyFolderPath, tinyModelPath } from '../support/tiny-model.js';

/**
 * A UNet that embeds the pooled text beside the timestep, in a model with other depths, widths, groups of norms, latent
 * channels and text window than Stable Diffusion's, against PyTorch in float64. Ten times the fixture's own float32 error
 * leaves room for another order of operations.
 */
const FIXTURE = fixturePath('micro-pooled_model.safetensors');
const fixture = readSafetensors(FIXTURE);
const fp32Error = JSON.parse(fixture.metadata.fp32_error ?? '{}') as Record<string, number>;

describe.each(['one file', 'a folder'])('micro-pooled in %s against PyTorch', (layout) => {
  const results = new Map<string, Tensor>();
  const run = (part: string, model: string, device: string) =>
    evaluate(part, FIXTURE, ['--model', model, '--inner', '--device', device]).tensors;
  let model = '';

  beforeAll(async () => {
    model = await (layout === 'one file' ? tinyModelPath('micro-pooled') : tinyFolderPath('micro-pooled'));
    for (const part of ['text', 'unet', 'vae-decode', 'vae-encode']) {
      for (const [name, tensor] of run(part, model, 'reference')) results.set(name, tensor);
    }
  });

  it.each(Object.keys(fp32Error))('%s', (name) => {
    const actual = results.get(name);
    expect(actual, 'was not computed').toBeDefined();
    // The embedding inherits the sinusoid's float32 angles, there as here.
    const bound = name === 'unet.mid.t_emb' ? 1e-5 : 10 * (fp32Error[name] ?? Number.NaN);
    if (actual !== undefined) expect(relativeError(actual, fixture.get(name))).toBeLessThanOrEqual(bound);
  });

  it('takes the pooled text from the first end token of the window', () => {
    const { data: ids, shape } = fixture.get('text.ids');
    const [windows = 0, positions = 0] = shape;
    const [last, pooled] = [results.get('text.last'), results.get('text.pooled')];
    const width = last?.shape[2] ?? 0;
    for (let window = 0; window < windows; window += 1) {
      const end = ids.subarray(window * positions, (window + 1) * positions).indexOf(49407);
      const from = (window * positions + end) * width;
      expect(pooled?.data.subarray(window * width, (window + 1) * width)).toEqual(
        last?.data.subarray(from, from + width),
      );
    }
    expect(width).toBe(64);
  });

  it('gives the same bytes on the cpu backend', () => {
    for (const part of ['text', 'unet']) {
      const tensors = run(part, model, 'cpu');
      expect(tensors.size).toBeGreaterThan(1);
      for (const [name, tensor] of tensors) expect(tensor, name).toEqual(results.get(name));
    }
  });
});
