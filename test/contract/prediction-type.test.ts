import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { loadAddon } from '../../src/native/load.js';
import type { ModelOverrides, NativeModel } from '../../src/native/types.js';
import { EditableSafetensors } from '../support/edit-safetensors.js';
import { sampleRequest } from '../support/native-model.js';
import { type TinyArch, tinyModelPath } from '../support/tiny-model.js';

const folder = mkdtempSync(join(tmpdir(), 'sdgen-prediction-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;

async function changed(arch: TinyArch, change: (file: EditableSafetensors) => void, overrides: ModelOverrides = {}) {
  const file = new EditableSafetensors(await tinyModelPath(arch));
  change(file);
  files += 1;
  const path = file.write(join(folder, `${files}.safetensors`));
  const addon = await loadAddon();
  return addon.openModel({ path, device: 'reference', precision: 'fp32', threads: 1, overrides });
}

/** The UNet's prediction with this much added to every value. */
const shifted = (by: number) => (file: EditableSafetensors) => {
  file.metadata = {};
  file.setFloats('model.diffusion_model.out.2.bias', [4], [by, by, by, by]);
};

async function afterLoad(model: NativeModel) {
  await model.load().promise;
  return model.describe().predictionType;
}

describe('what the UNet predicts', () => {
  it('is asked of an SD 2 that does not say', async () => {
    const eps = await changed('micro2', shifted(0.25));
    expect(eps.describe().predictionType).toEqual({ value: 'probe', origin: 'default' });
    expect(await afterLoad(eps)).toEqual({ value: 'epsilon', origin: 'probe' });
    const v = await changed('micro2', shifted(-4));
    expect(await afterLoad(v)).toEqual({ value: 'v_prediction', origin: 'probe' });
    await Promise.all([eps.close(), v.close()]);
  });

  it('is the same for a run that does not load first', async () => {
    const [probed, stated] = [
      await changed('micro2', shifted(-4)),
      await changed('micro2', shifted(-4), { predictionType: 'v_prediction' }),
    ];
    const request = sampleRequest(stated.describe(), 2);
    const latents = await Promise.all([probed, stated].map((model) => model.sample(request).promise));
    expect(latents[0]?.latent.data).toEqual(latents[1]?.latent.data);
    await Promise.all([probed.close(), stated.close()]);
  });

  it('is never asked of SD 1, nor where a flag, metadata or a marker says it', async () => {
    const sd1 = await changed('micro1', (file) => {
      shifted(-4)(file);
      file.metadata = { 'sdgen.text_heads': '4' };
    });
    expect(await afterLoad(sd1)).toEqual({ value: 'epsilon', origin: 'default' });
    const flag = await changed('micro2', shifted(-4), { predictionType: 'epsilon' });
    expect(await afterLoad(flag)).toEqual({ value: 'epsilon', origin: 'flag' });
    const marker = (file: EditableSafetensors): void => {
      shifted(1)(file);
      file.set('v_pred', 'F32', [0], Buffer.alloc(0));
    };
    const marked = await changed('micro2', marker);
    expect(marked.describe().predictionType).toEqual({ value: 'v_prediction', origin: 'weights' });
    const metadata = await changed('micro2', (file) => {
      marker(file);
      file.metadata = { 'modelspec.prediction_type': 'epsilon' };
    });
    expect(metadata.describe().predictionType).toEqual({ value: 'epsilon', origin: 'metadata' });
    await Promise.all([sd1, flag, marked, metadata].map((model) => model.close()));
  });

  it('of SD 2 takes no clip skip', async () => {
    const model = await changed('micro2', shifted(0));
    const { text } = model.describe();
    expect(text).toMatchObject({ hasClipSkip: false, tokenizer: 'open_clip', layers: 3 });
    const chunk = { tokens: new Int32Array(77), weights: new Float32Array(77).fill(1) };
    const request = { groups: [[{ chunks: [chunk], count: 1 }]], clipSkip: 2, restoreMean: true };
    await expect(model.encodeText(request).promise).rejects.toThrow(/always takes the same/);
    await model.close();
  });
});
