import { describe, expect, it } from 'vitest';
import { farFromTrained, unknownWords } from '../../../src/checkpoints/familiar.js';

const METADATA = { 'sdgen.known_words': 'a cat dog box on red background', 'sdgen.default_width': '128' };

describe('unknownWords', () => {
  it.each([
    ['a cat on a red background', []],
    ['A CAT, (dog:1.2) BREAK [red|cat] AND dogs and boxes', []],
    ['a lighthouse at dusk, a lighthouse', ['lighthouse', 'at', 'dusk']],
    ['naïve don’t r2d2 2 cats', ['naïve', 'don’t', 'r2d2']],
    ['', []],
  ])('of %j are %j', (prompt, words) => {
    expect(unknownWords(METADATA, prompt)).toEqual(words);
  });

  it('are none where a model says nothing of its words', () => {
    expect(unknownWords({}, 'anything')).toEqual([]);
  });
});

describe('farFromTrained', () => {
  const square = { ...METADATA, 'sdgen.default_height': '128' };

  it.each([
    [128, 128, false],
    [192, 128, false],
    [200, 128, true],
    [128, 80, true],
    [1024, 1024, true],
  ])('%i×%i', (width, height, isFar) => {
    expect(farFromTrained(square, { width, height })).toEqual(isFar ? { width: 128, height: 128 } : undefined);
  });

  it('says nothing without a trained size', () => {
    expect(farFromTrained(METADATA, { width: 4096, height: 64 })).toBeUndefined();
    expect(farFromTrained({ ...square, 'sdgen.default_width': 'x' }, { width: 4096, height: 64 })).toBeUndefined();
  });
});
