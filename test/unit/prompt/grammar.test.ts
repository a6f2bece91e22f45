import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_BRACKET_DEPTH, type PromptPart, parseAttention } from '../../../src/prompt/grammar.js';
import { column } from '../../../src/prompt/position.js';
import { UsageError } from '../../../src/request/errors.js';
import { LIMITS } from '../../../src/request/limits.js';

const text = (content: string, weight = 1): PromptPart => ({ kind: 'text', text: content, weight });
const BREAK: PromptPart = { kind: 'break' };

function refusal(action: () => void): UsageError {
  try {
    action();
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('parseAttention', () => {
  // The first nine are what the webui's own parser gives.
  it.each<[string, PromptPart[]]>([
    ['red fox, (snow:1.4)', [text('red fox, '), text('snow', 1.4)]],
    [
      '((bright)) [dim] moon',
      [text('bright', 1.2100000000000002), text(' '), text('dim', 0.9090909090909091), text(' moon')],
    ],
    ['(a (b:1.5) c', [text('a ', 1.1), text('b', 1.6500000000000001), text(' c', 1.1)]],
    ['x) y] z', [text('x) y] z')]],
    ['(w: -0.5)', [text('w', -0.5)]],
    ['(a:b:1.2)', [text('a:b', 1.2)]],
    ['(one BREAK two:1.2)', [text('one', 1.2), text('BREAK', -1.2), text('two', 1.2)]],
    ['', [text('')]],
    ['[x:1.3]', [text('x:1.3', 0.9090909090909091)]],
    ['one  BREAK\n two', [text('one'), BREAK, text('two')]],
    ['one BREAK BREAK two', [text('one'), BREAK, text(''), BREAK, text('two')]],
    ['BREAK', [text(''), BREAK, text('')]],
    ['BREAKFAST, aBREAK, éBREAK, BREAK_', [text('BREAKFAST, aBREAK, éBREAK, BREAK_')]],
    ['(BREAK:1)', [text(''), BREAK, text('')]],
    ['\\(a\\) \\[b\\] \\\\ c\\d', [text('(a) [b] \\ cd')]],
    ['(a\\):1.5)', [text('a)', 1.5)]],
    ['a :1.2) b', [text('a :1.2) b')]],
    ['(a:1.)', [text('a', 1)]],
    ['(a:+.5) b', [text('a', 0.5), text(' b')]],
    ['[a:1.2)', [text('a:1.2)', 0.9090909090909091)]],
    ['(a)(b)', [text('ab', 1.1)]],
    ['(a', [text('a', 1.1)]],
    ['[a', [text('a', 0.9090909090909091)]],
    ['()', [text('')]],
  ])('%j', (prompt, parts) => {
    expect(parseAttention(prompt)).toEqual(parts);
  });

  it("takes Python's white space around BREAK and weights: U+001C and U+0085, not U+FEFF", () => {
    expect(parseAttention('a\u0085BREAK\u001cb')).toEqual([text('a'), BREAK, text('b')]);
    expect(parseAttention('a\ufeffBREAK b')).toEqual([text('a\ufeff'), BREAK, text('b')]);
    expect(parseAttention('(a:\u00a01.5\u001c)')).toEqual([text('a', 1.5)]);
  });

  it.each([
    ['é (a:1.2.3)', 'the weight "1.2.3" at column 6 of the prompt'],
    ['(a:.)', 'the weight "." at column 4'],
    [`(a:${'9'.repeat(60)})`, `the weight "${'9'.repeat(29)}..."`],
    ['((a:9999999999999999999999):9999999999999999999999)', 'the weights around "a"'],
    ['('.repeat(MAX_BRACKET_DEPTH + 1), `nested deeper than 256 at column 257`],
    ['['.repeat(MAX_BRACKET_DEPTH + 1), `nested deeper than 256 at column 257`],
    ['x'.repeat(LIMITS.promptCharacters + 1), `has ${LIMITS.promptCharacters + 1} characters`],
  ])('refuses %.30j', (prompt, message) => {
    const error = refusal(() => parseAttention(prompt));
    expect(error.message).toContain(message);
    expect(error.message).not.toContain('\n');
    expect(error.field).toBe('prompt');
    expect(refusal(() => parseAttention(prompt, 'negativePrompt')).message).toContain('negative prompt');
  });

  it('is linear on long runs that tempt a pattern to retry', () => {
    const started = performance.now();
    for (const piece of [' ', ':', ': ', '(a)', ':1', '\\', '(a:1.1', 'BREAK ', ')', '] ']) {
      const prompt = piece.repeat(Math.floor(200_000 / piece.length));
      if (piece === '(a:1.1') expect(() => parseAttention(prompt)).toThrow(UsageError);
      else parseAttention(prompt);
    }
    // Quadratic work on any of them takes minutes.
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});

describe('parseAttention and plain text', () => {
  it('lets text without syntax out as it went in', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (raw) => {
        const plain = raw.replace(/[()[\]:\\]|BREAK/gu, '');
        expect(parseAttention(plain)).toEqual([text(plain)]);
      }),
    );
  });
});

describe('column', () => {
  it('counts code points, 1-based, and lone surrogates as one', () => {
    expect(column('abc', 0)).toBe(1);
    expect(column('😀b', 2)).toBe(2);
    expect(column('\ud83db', 1)).toBe(2);
    expect(column('\udc00\ud83d', 2)).toBe(3);
  });
});
