import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_BRACKET_DEPTH, type PromptPart, parseAttention, refuseUnsupported } from '../../../src/prompt/grammar.js';
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

describe('refuseUnsupported', () => {
  it.each([
    'a plain prompt, (with weights:1.2) and [dim] light',
    '\\[a|b\\] \\[x:y:0.5\\]',
    'a | b',
    '(a|b)',
    '[a:b]',
    '[a (b:1.2)]',
    '[a (b|c)]',
    '[16:9 wide]',
    'x) y] z:0.5]',
    '[a:b:0.5',
    '[a | b',
    'sand AND_more, ANDROID, and, éAND',
    '<lora>, <lora:>, < lora:x>, <lora:x',
    'i <3 you :> a:b>c',
    '',
  ])('lets %j pass', (prompt) => {
    expect(() => refuseUnsupported(prompt, 'prompt')).not.toThrow();
  });

  it.each([
    ['[iron:gold:0.5] cup', 1, 'prompt scheduling "[iron:gold:0.5]"'],
    ['cup[, rusty:0.3]', 4, 'prompt scheduling'],
    ['cup[ lid::2]', 4, 'prompt scheduling'],
    ['[x:1.3]', 1, 'prompt scheduling'],
    ['[:10]', 1, 'prompt scheduling'],
    ['[a:b: -1e1 ]', 1, 'prompt scheduling'],
    ['[a:b:5.]', 1, 'prompt scheduling'],
    ['[x:[y:z:6]:3]', 1, 'prompt scheduling "[x:[y:z:6]:3]"'],
    ['[dim [a:b:.5] light]', 6, 'prompt scheduling "[a:b:.5]"'],
    ['[a (b:1.2) c:3]', 1, 'prompt scheduling'],
    ['([a:b:3] x', 2, 'prompt scheduling'],
    ['[a \\] b:3]', 1, 'prompt scheduling'],
    ['[red|blue] sky', 1, 'alternation "[red|blue]"'],
    ['😀é[a|]', 3, 'alternation'],
    ['[|b]', 1, 'alternation'],
    ['[a|b:1.2]', 1, 'alternation'],
    ['cat AND dog', 5, 'composition with AND'],
    ['cat :1.2 AND dog:0.8', 10, 'composition with AND'],
    ['AND', 1, 'composition with AND'],
    ['a <lora:ink:0.5> [a|b]', 3, 'the extra network "<lora:ink:0.5>"'],
    ['<LyCO:x:te=1>', 1, 'the extra network'],
    ['<hypernet:h:1>', 1, 'the extra network'],
    ['<other:x>', 1, 'the extra network "<other:x>"'],
    [`<lora:${'x'.repeat(100)}>`, 1, `"<lora:${'x'.repeat(39)}..."`],
  ])('refuses %j', (prompt, place, what) => {
    const error = refusal(() => refuseUnsupported(prompt, 'prompt'));
    expect(error.message).toContain(`prompt, column ${place}: `);
    expect(error.message).toContain(what);
    expect(error.message).toContain('not built yet');
    expect(error.field).toBe('prompt');
  });

  it('takes AND and unknown tags for text in a negative prompt, where they have no meaning', () => {
    expect(() => refuseUnsupported('cat AND dog <other:x>', 'negativePrompt')).not.toThrow();
    const error = refusal(() => refuseUnsupported('cat <lora:x:1>', 'negativePrompt'));
    expect(error.message).toMatch(/^negative prompt, column 5: /);
    expect(error.field).toBe('negativePrompt');
  });

  it('is linear on long runs', () => {
    const started = performance.now();
    for (const piece of ['[', '[a:', '<a:', '[(', '])', 'AND_', '[a:0.5 ']) {
      refuseUnsupported(piece.repeat(100_000), 'prompt');
    }
    expect(() => refuseUnsupported(`${'[a:'.repeat(100_000)}${'1]'.repeat(100_000)}`, 'prompt')).toThrow(UsageError);
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});

describe('no text throws anything but UsageError', () => {
  const syntax = fc.array(
    fc.oneof(
      fc.constantFrom(
        '(',
        ')',
        '[',
        ']',
        ':',
        '|',
        '\\',
        ' ',
        '1.2',
        '.',
        '-',
        'BREAK',
        'AND',
        '<lora:',
        '>',
        ',',
        '\n',
      ),
      fc.string({ unit: 'binary', maxLength: 6 }),
    ),
    { maxLength: 60 },
  );

  it('from the grammar', () => {
    fc.assert(
      fc.property(syntax, fc.constantFrom('prompt' as const, 'negativePrompt' as const), (pieces, field) => {
        const prompt = pieces.join('');
        for (const action of [() => parseAttention(prompt, field), () => refuseUnsupported(prompt, field)]) {
          try {
            action();
          } catch (error) {
            expect(error).toBeInstanceOf(UsageError);
          }
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('and text without syntax comes out as it went in', () => {
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
