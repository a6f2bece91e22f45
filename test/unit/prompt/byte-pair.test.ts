import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mergeSymbols } from '../../../src/prompt/byte-pair.js';

/** The textbook loop: find the pair of lowest rank, merge all of it from the left, again. */
function mergeSlowly(symbols: readonly string[], ranks: ReadonlyMap<string, number>): string[] {
  let current = [...symbols];
  for (;;) {
    const pairs = current.slice(1).map((right, i) => `${current[i]} ${right}`);
    const best = pairs.reduce<string | undefined>((a, b) => {
      const rank = ranks.get(b);
      const least = a === undefined ? undefined : ranks.get(a);
      return rank !== undefined && (least === undefined || rank < least) ? b : a;
    }, undefined);
    if (best === undefined) return current;
    const next: string[] = [];
    for (let i = 0; i < current.length; i += 1) {
      const symbol = current[i] ?? '';
      const merges = `${symbol} ${current[i + 1]}` === best;
      next.push(merges ? symbol + (current[i + 1] ?? '') : symbol);
      if (merges) i += 1;
    }
    current = next;
  }
}

/** Merges as training makes them: each of two symbols that exist by then, no two with the same result. */
const merges = fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 40 }).map((choices) => {
  const symbols = ['a', 'b', 'c'];
  const ranks = new Map<string, number>();
  for (const [first, second] of choices) {
    const left = symbols[first % symbols.length] ?? '';
    const right = symbols[second % symbols.length] ?? '';
    if (symbols.includes(left + right)) continue;
    ranks.set(`${left} ${right}`, ranks.size);
    symbols.push(left + right);
  }
  return ranks;
});

describe('mergeSymbols', () => {
  it('merges the lowest rank first, leftmost first', () => {
    const ranks = new Map([
      ['b c', 0],
      ['a b', 1],
      ['a a', 2],
    ]);
    expect(mergeSymbols(['a', 'b', 'c', 'a', 'b'], ranks)).toEqual(['a', 'bc', 'ab']);
    expect(mergeSymbols(['a', 'a', 'a'], ranks)).toEqual(['aa', 'a']);
    expect(mergeSymbols(['z'], ranks)).toEqual(['z']);
    expect(mergeSymbols([], ranks)).toEqual([]);
  });

  it('gives what the textbook loop gives', () => {
    const word = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 40 });
    fc.assert(
      fc.property(word, merges, (symbols, ranks) => {
        expect(mergeSymbols(symbols, ranks)).toEqual(mergeSlowly(symbols, ranks));
      }),
      { numRuns: 1000 },
    );
  });
});
