import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../../../src/request/errors.js';
import { didYouMean, nearestNames } from '../../../src/request/nearest.js';
import { showValue } from '../../../src/request/show-value.js';
import { parseTextToImage } from '../../../src/request/txt2img.js';

const fault = (input: unknown): UsageError => {
  try {
    parseTextToImage(input);
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error('the request was accepted');
};

describe('parseTextToImage', () => {
  it('fills in every default and freezes', () => {
    const request = parseTextToImage({ prompt: '' });
    expect(request).toEqual({
      prompt: '',
      negativePrompt: '',
      styles: [],
      steps: 20,
      sampler: 'DPM++ 2M',
      scheduler: 'automatic',
      cfgScale: 7,
      width: 512,
      height: 512,
      seed: -1,
      subseed: -1,
      subseedStrength: 0,
      seedResizeFromW: 0,
      seedResizeFromH: 0,
      count: 1,
      batchSize: 1,
      clipSkip: 1,
      rng: 'gpu',
      vaeTiling: 'auto',
      trail: true,
      grid: false,
      format: 'png',
      quality: 80,
      hires: false,
      hiresScale: 2,
      hiresResizeX: 0,
      hiresResizeY: 0,
      hiresUpscaler: 'Latent',
      hiresSteps: 0,
      hiresDenoisingStrength: 0.7,
      hiresPrompt: '',
      hiresNegativePrompt: '',
    });
    expect(Object.isFrozen(request)).toBe(true);
  });

  it.each([
    [{ prompt: 'x', width: 63 }, 'width must be a multiple of 8 from 16 to 16384; 63 is not', 'width'],
    [{ prompt: 'x', steps: '20' }, 'steps must be a whole number from 1 to 1000; 20 is not', 'steps'],
    [{ prompt: 'x', cfgScale: Number.NaN }, 'cfgScale must be a number from 0 to 1000; NaN is not', 'cfgScale'],
    [{ prompt: 'x', grid: 1 }, 'grid must be true or false; 1 is not', 'grid'],
    [{ prompt: 5 }, 'prompt must be text; may be empty; 5 is not', 'prompt'],
    [{}, 'prompt is missing: text; may be empty', 'prompt'],
    [{ prompt: 'x', stepz: 3 }, 'stepz is not a field here; did you mean steps?', 'stepz'],
    [{ prompt: 'x', zzz: 3 }, 'zzz is not a field here; known: prompt, negativePrompt, styles', 'zzz'],
    [null, 'a request is an object of named fields, not null', undefined],
    [[], 'a request is an object of named fields, not a list', undefined],
  ])('%j', (input, message, field) => {
    const error = fault(input);
    expect(error.message).toContain(message);
    expect(error.field).toBe(field);
    expect(error.message).not.toContain('\n');
  });

  it('fails with one short line, or gives a request, whatever comes', () => {
    fc.assert(
      fc.property(fc.object({ key: fc.constantFrom('prompt', 'width', 'seed', 'rng', '__proto__', 'x') }), (input) => {
        try {
          parseTextToImage(input);
        } catch (error) {
          if (!(error instanceof UsageError)) throw error;
          expect(error.message.length).toBeLessThan(400);
          expect(error.message).not.toContain('\n');
        }
      }),
    );
  });
});

describe('showValue', () => {
  it.each<[unknown, string]>([
    [undefined, 'nothing'],
    ['', '""'],
    ['a b\n', '"a b\\n"'],
    [Number.POSITIVE_INFINITY, 'Infinity'],
    [10n, '10'],
    [Symbol('s'), 'Symbol(s)'],
    [{ self: 1 }, 'an object'],
    ['a\u009bb', '"a\uFFFDb"'],
    ['x'.repeat(99), `${'x'.repeat(40)}…`],
  ])('%s', (value, text) => {
    expect(showValue(value)).toBe(text);
  });
});

describe('nearest names', () => {
  it('are those that resemble', () => {
    expect(nearestNames('micro', ['micro1', 'micro2', 'sd15'])).toEqual(['micro1', 'micro2']);
    expect(didYouMean('MICRO1', ['micro1'])).toBe('; did you mean micro1?');
    expect(didYouMean('zzzz', ['micro1'])).toBe('');
  });
});
