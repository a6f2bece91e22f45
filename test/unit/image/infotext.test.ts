import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatInfotext, type InfotextFields, parseInfotext } from '../../../src/image/infotext.js';
import { isPythonSpace, pythonFloat, pythonStrip } from '../../../src/image/python-text.js';

const base: InfotextFields = {
  prompt: 'a tin robot reading by candlelight, (warm glow:1.2)',
  negativePrompt: 'blurry, text',
  steps: 20,
  sampler: 'DPM++ 2M',
  scheduleType: 'Karras',
  cfgScale: 7,
  seed: 77,
  width: 512,
  height: 512,
  modelHash: '0a1b2c3d4e',
  model: 'example-v1',
  version: '0.1.0',
};

const SECOND: InfotextFields = {
  prompt: 'harbour at dawn',
  steps: 24,
  sampler: 'Euler a',
  scheduleType: 'Automatic',
  cfgScale: 5.5,
  seed: 4000000001,
  width: 640,
  height: 448,
  modelHash: '0a1b2c3d4e',
  model: 'example-v1',
  variationSeed: 9,
  variationSeedStrength: 0.2,
  denoisingStrength: 0.55,
  clipSkip: 2,
  rng: 'NV',
  extras: [
    ['Hires prompt', 'harbour at noon, gulls'],
    ['Hires upscale', pythonFloat(2)],
    ['Hires steps', 10],
    ['Hires upscaler', 'Latent'],
    ['Lora hashes', 'inkwash: 00ff00ff00ff'],
  ],
  version: '1.2.3',
};

describe('formatInfotext', () => {
  it("writes the webui's form", () => {
    expect(formatInfotext(base)).toBe(
      'a tin robot reading by candlelight, (warm glow:1.2)\n' +
        'Negative prompt: blurry, text\n' +
        'Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.0, Seed: 77, Size: 512x512, ' +
        'Model hash: 0a1b2c3d4e, Model: example-v1, Version: sdgen 0.1.0',
    );
  });

  it('writes optional keys and extras in their order', () => {
    expect(formatInfotext(SECOND)).toBe(
      'harbour at dawn\n' +
        'Steps: 24, Sampler: Euler a, Schedule type: Automatic, CFG scale: 5.5, Seed: 4000000001, Size: 640x448, ' +
        'Model hash: 0a1b2c3d4e, Model: example-v1, Variation seed: 9, Variation seed strength: 0.2, ' +
        'Denoising strength: 0.55, Clip skip: 2, RNG: NV, Hires prompt: "harbour at noon, gulls", Hires upscale: 2.0, ' +
        'Hires steps: 10, Hires upscaler: Latent, Lora hashes: "inkwash: 00ff00ff00ff", Version: sdgen 1.2.3',
    );
  });

  it("has all keys of the webui's line, in its order", () => {
    const text = formatInfotext({
      ...SECOND,
      imageCfgScale: 1.5,
      faceRestoration: 'CodeFormer',
      fp8Weight: 'Enable',
      cacheFp16Weight: true,
      vaeHash: '1a',
      vae: 'v',
      seedResizeFrom: '64x64',
      conditionalMaskWeight: 1,
      ensd: 31337,
      tokenMergingRatio: 0.5,
      tokenMergingRatioHr: 0.25,
      initImageHash: '2b',
      tiling: true,
      extras: [['Eta', 0]],
      user: 'me',
    });
    expect(text.split('\n')[1]?.replace(/: [^,]*/g, '')).toBe(
      'Steps, Sampler, Schedule type, CFG scale, Image CFG scale, Seed, Face restoration, Size, Model hash, Model, ' +
        'FP8 weight, Cache FP16 weight for LoRA, VAE hash, VAE, Variation seed, Variation seed strength, ' +
        'Seed resize from, Denoising strength, Conditional mask weight, Clip skip, ENSD, Token merging ratio, ' +
        'Token merging ratio hr, Init image hash, RNG, Tiling, Eta, Version, User',
    );
    expect(formatInfotext({ ...base, fp8Weight: 'Disable', tokenMergingRatio: 0, tokenMergingRatioHr: 0 })).toBe(
      formatInfotext(base),
    );
  });

  it('leaves out what is absent, at its default, or has no effect', () => {
    const text = formatInfotext({
      ...base,
      negativePrompt: '',
      scheduleType: undefined,
      variationSeed: 5,
      variationSeedStrength: 0,
      clipSkip: 1,
      ensd: 0,
      rng: 'GPU',
      tiling: false,
      extras: [
        ['Gone', null],
        ['Gone too', undefined],
      ],
    });
    expect(text.split('\n')[1]).toBe(
      'Steps: 20, Sampler: DPM++ 2M, CFG scale: 7.0, Seed: 77, Size: 512x512, Model hash: 0a1b2c3d4e, ' +
        'Model: example-v1, Version: sdgen 0.1.0',
    );
  });

  it('writes flags as Python prints them, a value that equals its key as the key alone, and the user last', () => {
    const text = formatInfotext({
      ...base,
      tiling: true,
      ensd: 31337,
      extras: [
        ['Refiner', 'Refiner'],
        ['A b', false],
      ],
      user: 'x',
    });
    expect(text).toMatch(
      /Model: example-v1, ENSD: 31337, Tiling: True, Refiner, A b: False, Version: sdgen 0.1.0, User: x$/,
    );
  });

  it('quotes a value with a comma, colon or newline as JSON and keeps non-ASCII', () => {
    const text = formatInfotext({ ...base, model: 'naïve, "モデル"\n:' });
    expect(text).toContain(', Model: "naïve, \\"モデル\\"\\n:", Version');
    expect(formatInfotext({ ...base, model: 'say "hi"' })).toContain(', Model: say "hi", ');
  });

  it('is trimmed like Python does, and an empty prompt leaves the line of parameters', () => {
    expect(formatInfotext({ ...base, prompt: '\u001c ', negativePrompt: '' })).toMatch(/^Steps: 20, /);
  });
});

describe('parseInfotext', () => {
  it('reads what is written', () => {
    const { prompt, negativePrompt, parameters } = parseInfotext(formatInfotext(base));
    expect(prompt).toBe(base.prompt);
    expect(negativePrompt).toBe(base.negativePrompt);
    expect([...parameters]).toEqual([
      ['Steps', '20'],
      ['Sampler', 'DPM++ 2M'],
      ['Schedule type', 'Karras'],
      ['CFG scale', '7.0'],
      ['Seed', '77'],
      ['Size-1', '512'],
      ['Size-2', '512'],
      ['Model hash', '0a1b2c3d4e'],
      ['Model', 'example-v1'],
      ['Version', 'sdgen 0.1.0'],
    ]);
    expect(parseInfotext(formatInfotext(SECOND)).parameters.get('Hires prompt')).toBe('harbour at noon, gulls');
  });

  it('takes a last line with fewer than three pairs for text', () => {
    expect(parseInfotext('cat\nSteps: 2, Seed: 3')).toEqual({
      prompt: 'cat\nSteps: 2, Seed: 3',
      negativePrompt: '',
      parameters: new Map(),
    });
  });

  it('keeps lines of both prompts', () => {
    const text = ' a\n\nb \nNegative prompt:\n c\nd\nSteps: 1, Seed: 2, Size: 8x16';
    const { prompt, negativePrompt } = parseInfotext(text);
    expect([prompt, negativePrompt]).toEqual(['a\n\nb', 'c\nd']);
  });

  it.each<[string, [string, string][]]>([
    [
      'ab: 1, a: 2, c d: 3, e-f/g: 4',
      [
        ['ab', '1'],
        ['c d', '3'],
        ['e-f/g', '4'],
      ],
    ],
    [
      '- -ab: 1, x.cd: 2, éé: x:y:z',
      [
        ['ab', '1'],
        ['cd', '2'],
        ['éé', 'x:y:z'],
      ],
    ],
    [
      'ab: "x, y", cd: "x" y, ef: "open',
      [
        ['ab', 'x, y'],
        ['cd', '"x" y'],
        ['ef', '"open'],
      ],
    ],
    [
      'ab: "a\\"b, c:", cd: "\\q", ef: ""',
      [
        ['ab', 'a"b, c:'],
        ['cd', '"\\q"'],
        ['ef', ''],
      ],
    ],
    [
      'ab: , cd: 1, ef: 2, gh:3',
      [
        ['cd', '1'],
        ['ef', '2'],
        ['gh', '3'],
      ],
    ],
    ['ab: 1, ab: 2, ab: 3', [['ab', '3']]],
  ])('finds the pairs of %j', (line, pairs) => {
    expect([...parseInfotext(`p\n${line}`).parameters]).toEqual(pairs);
  });

  it('has no room for tricks with property names', () => {
    const { parameters } = parseInfotext('p\n__proto__: 1, constructor: 2, toString: 3');
    expect(parameters.get('__proto__')).toBe('1');
  });

  it('returns what was formatted, for any values that the format can hold', () => {
    const word = fc.string({ unit: 'grapheme', maxLength: 20 }).map((text) => pythonStrip(text));
    const line = word.map((text) => pythonStrip(text.replace(/[\n:]/g, ' ')));
    const value = word.filter((text) => text !== '' && !text.startsWith('"') && !/^\d+x\d+$/.test(text));
    fc.assert(
      fc.property(
        line,
        line,
        value,
        value,
        fc.nat(),
        fc.double({ noNaN: true }),
        (prompt, negative, model, extra, seed, cfg) => {
          const text = formatInfotext({
            ...base,
            prompt,
            negativePrompt: negative,
            model,
            seed,
            cfgScale: cfg,
            extras: [['Extra key', extra]],
          });
          const parsed = parseInfotext(text);
          expect([parsed.prompt, parsed.negativePrompt]).toEqual([prompt, negative]);
          const { parameters } = parsed;
          expect(parameters.get('Extra key')).toBe(extra === 'Extra key' ? undefined : extra);
          expect(parameters.get('Model')).toBe(model === 'Model' ? undefined : model);
          expect(Number(parameters.get('Seed'))).toBe(seed);
          expect(Number(parameters.get('CFG scale')?.replace('inf', 'Infinity'))).toBe(cfg);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('takes any text in linear time', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => void parseInfotext(text)));
    const started = performance.now();
    for (const piece of ['a', ' ', 'a ', ':', 'ab:', 'ab: "', 'ab: "\\"', ',', '\n', 'ab: ']) {
      parseInfotext(piece.repeat(200_000));
    }
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});

describe('pythonFloat', () => {
  it.each([
    [7, '7.0'],
    [0, '0.0'],
    [-0, '-0.0'],
    [0.55, '0.55'],
    [-1.25, '-1.25'],
    [100, '100.0'],
    [123456.789, '123456.789'],
    [0.0001, '0.0001'],
    [0.00001, '1e-05'],
    [0.000012, '1.2e-05'],
    [1e15, '1000000000000000.0'],
    [1e16, '1e+16'],
    [1.5e300, '1.5e+300'],
    [-2e-300, '-2e-300'],
    [0.1 + 0.2, '0.30000000000000004'],
    [Number.POSITIVE_INFINITY, 'inf'],
    [Number.NEGATIVE_INFINITY, '-inf'],
    [Number.NaN, 'nan'],
  ])('%d is %s', (value, text) => {
    expect(pythonFloat(value)).toBe(text);
  });

  it('reads back as the same number', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(Number(pythonFloat(value))).toBe(value);
      }),
    );
  });
});

describe('pythonStrip', () => {
  it("takes Python's white space and nothing else", () => {
    expect(pythonStrip('\u3000\u001c\t a b\u0085\u200a\n')).toBe('a b');
    expect(pythonStrip('\ufeffa\u200b')).toBe('\ufeffa\u200b');
    expect([' ', '\u2028', 'x', '\ufeff', ''].map(isPythonSpace)).toEqual([true, true, false, false, false]);
  });
});
