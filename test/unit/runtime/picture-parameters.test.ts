import { describe, expect, it } from 'vitest';
import { takeOver } from '../../../src/cli/take-over.js';
import { pictureParameters } from '../../../src/runtime/picture-parameters.js';

const read = (text: string) => {
  const found = pictureParameters({ format: 'png', width: 64, height: 32, texts: [{ keyword: 'parameters', text }] });
  if (found === undefined) throw new Error('no parameters');
  return found;
};
const LINE = 'Steps: 20, Sampler: DPM++ 2M, Seed: 7';

describe('pictureParameters', () => {
  it('fills what is left out and keeps what is written', () => {
    const complete = read(`cat\n${LINE}, Clip skip: 2, Size: 64x32`).complete;
    expect(Object.fromEntries(complete)).toMatchObject({
      'Clip skip': '2',
      'Size-1': '64',
      'Size-2': '32',
      RNG: 'GPU',
      'Schedule type': 'Automatic',
      'Hires prompt': '',
      'Masked area padding': '32',
      'VAE Decoder': 'Full',
    });
    expect(complete.has('Emphasis')).toBe(false);
    expect(read(`(cat)\n${LINE}`).complete.get('Emphasis')).toBe('Original');
    expect(read('only words').complete.size).toBe(0);
  });

  it.each([
    ['DPM++ 2M Karras', 'DPM++ 2M', 'Karras'],
    ['DPM++ 3M SDE Exponential', 'DPM++ 3M SDE', 'Exponential'],
    ['Euler a', 'Euler a', 'Automatic'],
    ['Karras', 'Karras', 'Automatic'],
  ])('splits the sampler %s', (text, sampler, schedule) => {
    const { complete } = read(`cat\nSteps: 20, Sampler: ${text}, Seed: 7`);
    expect([complete.get('Sampler'), complete.get('Schedule type')]).toEqual([sampler, schedule]);
  });

  it.each([
    ['1.5.2', true, true, 'True'],
    ['v1.6.0', false, true, 'True'],
    ['v1.7.0-224-gabc', false, true, 'True'],
    ['v1.7.0-225-gabc', false, false, 'True'],
    ['v1.8.0', false, false, 'False'],
    ['v1.10.1', false, false, 'False'],
    ['sdgen 0.1.0', false, false, 'False'],
  ])('knows what version %s did', (version, timelines, downcast, refiner) => {
    const { complete } = read(`[a:b:3]\nSteps: 20, Sampler: DDIM, Refiner: x, Version: ${version}`);
    expect(complete.has('Old prompt editing timelines')).toBe(timelines);
    expect(complete.has('Pad conds v0')).toBe(timelines);
    expect(complete.has('Downcast alphas_cumprod')).toBe(downcast);
    expect(complete.get('Refiner switch by sampling steps')).toBe(refiner);
  });

  it('translates NovelAI pictures, and leaves damaged ones', () => {
    const comment = { uc: 'bad', sampler: 'k_dpmpp_2m', steps: 28, scale: 11, seed: 5 };
    const texts = (Comment: string) =>
      Object.entries({ Software: 'NovelAI', Description: 'a cat', Comment }).map(([keyword, text]) => ({
        keyword,
        text,
      }));
    const info = { format: 'png', width: 64, height: 32 };
    expect(pictureParameters({ ...info, texts: texts(JSON.stringify(comment)) })?.text).toBe(
      'a cat\nNegative prompt: bad\nSteps: 28, Sampler: DPM++ 2M, CFG scale: 11, Seed: 5, Size: 64x32, ' +
        'Clip skip: 2, ENSD: 31337',
    );
    for (const bad of ['{', '[]', 'null', '{"uc":1}']) {
      expect(pictureParameters({ ...info, texts: texts(bad) })).toBeUndefined();
    }
  });
});

describe('takeOver', () => {
  it('gives fields, and names what has no place', () => {
    const taken = takeOver(
      read(`cat\n${LINE}, RNG: NV, Size: 64x32, Model: m, ENSD: 31337, Emphasis: Original, Tiling: True`),
    );
    expect(taken).toEqual({
      fields: {
        prompt: 'cat',
        negativePrompt: '',
        steps: 20,
        sampler: 'DPM++ 2M',
        scheduler: 'Automatic',
        seed: 7,
        width: 64,
        height: 32,
        clipSkip: 1,
        rng: 'gpu',
        etaNoiseSeedDelta: 31337,
        emphasis: 'Original',
      },
      model: 'm',
      left: ['Tiling: True'],
    });
  });

  it('gives what bends the noise and the schedule', () => {
    const written = [
      'Variation seed: 9, Variation seed strength: 0.2, Seed resize from: 256x320, Eta DDIM: 0.5, Sigma churn: 3',
      'Sigma tmin: 0.1, Sigma tmax: 8, Sigma noise: 1.01, Schedule min sigma: 0.05, Schedule max sigma: 12',
      'Schedule rho: 5, Beta schedule alpha: 0.7, Beta schedule beta: 0.8, Discard penultimate sigma: True',
      'Old karras scheduler sigmas: True, SGM noise multiplier: True, Sigmas: "10.0, 3.5, 0"',
    ].join(', ');
    const { fields, left } = takeOver(read(`cat\n${LINE}, ${written}`));
    expect(fields).toMatchObject({
      subseed: 9,
      subseedStrength: 0.2,
      seedResizeFromW: 256,
      seedResizeFromH: 320,
      eta: 0.5,
      sChurn: 3,
      sTmin: 0.1,
      sTmax: 8,
      sNoise: 1.01,
      sigmaMin: 0.05,
      sigmaMax: 12,
      rho: 5,
      betaDistAlpha: 0.7,
      betaDistBeta: 0.8,
      alwaysDiscardNextToLastSigma: true,
      useOldKarrasSchedulerSigmas: true,
      sgmNoiseMultiplier: true,
      sigmas: [10, 3.5, 0],
    });
    expect(left).toEqual([]);
  });

  it.each([
    ['VAE hash: 0123456789, VAE: fine.vae.safetensors', 'fine.vae.safetensors'],
    ['Version: sdgen 0.1.0', 'none'],
    ['Version: v1.10.1', undefined],
  ])('takes the VAE over, and none only where that is sure: %s', (written, vae) => {
    expect(takeOver(read(`cat\n${LINE}, ${written}`))).toMatchObject({ left: [] });
    expect(takeOver(read(`cat\n${LINE}, ${written}`)).vae).toBe(vae);
  });

  it('never lets a picture choose a path', () => {
    expect(takeOver(read(`cat\n${LINE}, Model: ../x`)).model).toBeUndefined();
    expect(takeOver(read(`cat\n${LINE}, VAE: ../x`)).vae).toBeUndefined();
    expect(takeOver(read(`cat\n${LINE}, RNG: toString`))).toMatchObject({ left: ['RNG: toString'] });
  });
});
