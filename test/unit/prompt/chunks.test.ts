import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ChunkOptions, DEFAULT_CHUNK_OPTIONS, type Tokenizer, toChunks } from '../../../src/prompt/chunks.js';
import { ClipTokenizer } from '../../../src/prompt/tokenizer.js';
import { UsageError } from '../../../src/request/errors.js';
import { type EmphasisName, LIMITS } from '../../../src/request/limits.js';

/** A token a word: its number, or 7 for a comma. */
const words: Tokenizer = {
  bos: -1,
  eos: -2,
  pad: -2,
  comma: 7,
  encode: (text) => (text.match(/\d+|,/g) ?? []).map((word) => (word === ',' ? 7 : Number(word))),
};
const numbers = (from: number, count: number): string => Array.from({ length: count }, (_, i) => from + i).join(' ');
const options = (positions: number, commaBacktrack = 20): ChunkOptions => ({ positions, commaBacktrack });
const bodies = (prompt: string, wanted: ChunkOptions): number[][] =>
  toChunks(prompt, words, wanted).chunks.map(({ tokens }) => tokens);

describe('toChunks', () => {
  it('makes one chunk of fill for an empty prompt', () => {
    const { chunks, tokenCount } = toChunks('', words);
    expect(tokenCount).toBe(0);
    expect(chunks).toEqual([{ tokens: [-1, ...Array(76).fill(-2)], weights: Array(77).fill(1) }]);
  });

  it('gives each token the weight of its part, and 1 to start, end and fill', () => {
    const { chunks, tokenCount } = toChunks('100 (200:1.5) [300]', words, options(6));
    expect(chunks).toEqual([{ tokens: [-1, 100, 200, 300, -2, -2], weights: [1, 1, 1.5, 1 / 1.1, 1, 1] }]);
    expect(tokenCount).toBe(3);
  });

  it('opens a new chunk when one is full, and no sooner', () => {
    expect(bodies(numbers(100, 75), options(77))).toHaveLength(1);
    const { chunks, tokenCount } = toChunks(numbers(100, 76), words);
    expect(chunks.map(({ tokens }) => tokens.slice(0, 3))).toEqual([
      [-1, 100, 101],
      [-1, 175, -2],
    ]);
    expect(chunks[0]?.tokens.at(-1)).toBe(-2);
    expect(tokenCount).toBe(76);
  });

  it('moves the words after a near comma to the next chunk, with their weights', () => {
    const { chunks } = toChunks('100 , (200 201 202:2)', words, options(6));
    expect(chunks).toEqual([
      { tokens: [-1, 100, 7, -2, -2, -2], weights: [1, 1, 1, 1, 1, 1] },
      { tokens: [-1, 200, 201, 202, -2, -2], weights: [1, 2, 2, 2, 1, 1] },
    ]);
  });

  it('does not move them from a comma too far back, or when told never to', () => {
    const split = [
      [-1, 100, 7, 200, 201, -2],
      [-1, 202, -2, -2, -2, -2],
    ];
    expect(bodies('100 , 200 201 202', options(6, 2))).toEqual(split);
    expect(bodies('100 , 200 201 202', options(6, 0))).toEqual(split);
    expect(bodies('100 , 200 201 202', options(6, 3))).not.toEqual(split);
  });

  it('measures 20 tokens at the real size', () => {
    const near = `${numbers(1000, 54)} , ${numbers(2000, 21)}`;
    const far = `${numbers(1000, 53)} , ${numbers(2000, 22)}`;
    const starts = (prompt: string): (number | undefined)[] =>
      toChunks(prompt, words).chunks.map(({ tokens }) => tokens[1]);
    expect(starts(near)).toEqual([1000, 2020]);
    expect(starts(`${numbers(1000, 55)} , ${numbers(2000, 20)}`)).toEqual([1000, 2000]);
    expect(starts(far)).toEqual([1000, 2021]);
  });

  it('starts the next chunk with a comma that finds one full, without moving anything', () => {
    expect(bodies('1 , 3 4 , 5', options(6))).toEqual([
      [-1, 1, 7, 3, 4, -2],
      [-1, 7, 5, -2, -2, -2],
    ]);
  });

  it('ends the chunk at BREAK, empty or not', () => {
    expect(bodies('1 BREAK 2', options(4))).toEqual([
      [-1, 1, -2, -2],
      [-1, 2, -2, -2],
    ]);
    expect(bodies('BREAK 2', options(4))).toEqual([
      [-1, -2, -2, -2],
      [-1, 2, -2, -2],
    ]);
    expect(bodies('1 BREAK', options(4))).toHaveLength(1);
  });

  it('takes as many chunks as the limit and says how long a longer prompt is', () => {
    const most = LIMITS.promptChunks * 75;
    expect(toChunks(numbers(1000, most), words).chunks).toHaveLength(LIMITS.promptChunks);
    const error = new RegExp(
      `the negative prompt has ${most + 1} tokens in ${LIMITS.promptChunks + 1} chunks of 75; the limit is ${LIMITS.promptChunks} chunks`,
    );
    const long = (): unknown => toChunks(numbers(1000, most + 1), words, { ...options(77), field: 'negativePrompt' });
    expect(long).toThrow(error);
    expect(long).toThrow(UsageError);
    expect(() => toChunks('BREAK '.repeat(LIMITS.promptChunks + 1), words)).toThrow(/has 0 tokens in 101 chunks/);
  });

  it('reads brackets as the emphasis mode says', () => {
    const weights = (emphasis: EmphasisName) => {
      const { chunks } = toChunks('1 (2:1.5) BREAK 3', words, { ...options(6), emphasis });
      return chunks.map((chunk) => chunk.weights.slice(1, 3));
    };
    const weighted = [
      [1, 1.5],
      [1, 1],
    ];
    expect(weights('Original')).toEqual(weighted);
    expect(weights('No norm')).toEqual(weighted);
    expect(weights('Ignore')).toEqual([
      [1, 1],
      [1, 1],
    ]);
    const clip = ClipTokenizer.load();
    const literal = toChunks('(a:1.5) BREAK', clip, { ...DEFAULT_CHUNK_OPTIONS, emphasis: 'None' });
    expect(literal.chunks).toHaveLength(1);
    expect(literal.chunks[0]?.tokens.slice(1, 8)).toEqual(clip.encode('(a:1.5) BREAK').slice(0, 7));
    expect(new Set(literal.chunks[0]?.weights)).toEqual(new Set([1]));
  });

  it('refuses windows without room', () => {
    expect(() => toChunks('1', words, options(2))).toThrow(RangeError);
    expect(() => toChunks('1', words, options(7.5))).toThrow(RangeError);
  });

  it('keeps every token in order, whatever the commas do', () => {
    const prompt = fc.array(fc.constantFrom('1', '2', ',', 'BREAK'), { maxLength: 80 });
    fc.assert(
      fc.property(prompt, fc.integer({ min: 3, max: 12 }), fc.integer({ min: 0, max: 12 }), (pieces, size, back) => {
        const text = pieces.join(' ');
        const { chunks, tokenCount } = toChunks(text, words, options(size, back));
        const kept = chunks.flatMap(({ tokens }) => tokens.filter((token) => token >= 0));
        expect(kept).toEqual(words.encode(text));
        expect(tokenCount).toBe(kept.length);
        for (const { tokens, weights } of chunks) {
          expect([tokens.length, weights.length]).toEqual([size, size]);
          expect([tokens[0], tokens.at(-1)]).toEqual([-1, -2]);
        }
      }),
    );
  });
});
