import { describe, expect, it } from 'vitest';
import { stripComments } from '../../../src/prompt/comments.js';
import { splitComposition } from '../../../src/prompt/composition.js';
import { UsageError } from '../../../src/request/errors.js';
import { LIMITS } from '../../../src/request/limits.js';

const split = (prompt: string) => splitComposition(prompt).map(({ text, weight }) => [text, weight]);

describe('splitComposition', () => {
  // The first two are what the webui's own code gives.
  it.each<[string, (string | number)[][]]>([
    [
      'cat :1.2 AND dog:0.8',
      [
        ['cat', 1.2],
        [' dog', 0.8],
      ],
    ],
    [
      'sand AND:2',
      [
        ['sand', 1],
        ['', 2],
      ],
    ],
    ['a cat', [['a cat', 1]]],
    ['', [['', 1]]],
    ['AND', Array(2).fill(['', 1])],
    ['a cat:1.5', [['a cat', 1.5]]],
    [' at 10:30 \n', [[' at 10', 30]]],
    ['a\nb :-.5\t', [['a\nb', -0.5]]],
    ['a:+2.', [['a', 2]]],
    ['a: : 2', [['a:', 2]]],
    ['a:1.2.3', [['a:1.2.3', 1]]],
    ['a:1 2', [['a:1 2', 1]]],
    ['(a:1.2)', [['(a:1.2)', 1]]],
    ['a:', [['a:', 1]]],
    ['sand AND_more, ANDROID, and, éAND', [['sand AND_more, ANDROID, and, éAND', 1]]],
    [
      'a.AND.b',
      [
        ['a.', 1],
        ['.b', 1],
      ],
    ],
  ])('%j', (prompt, expected) => {
    expect(split(prompt)).toEqual(expected);
  });

  it('refuses weights that are no usable numbers, and too many parts', () => {
    expect(() => split(`a cat:${'9'.repeat(40)}`)).toThrow(/the weight ":9+" at the end of "a cat" is too large/);
    expect(() => split(`a cat:${'9'.repeat(40)}`)).toThrow(UsageError);
    expect(split('x AND '.repeat(LIMITS.promptParts - 1))).toHaveLength(LIMITS.promptParts);
    expect(() => split('x AND '.repeat(LIMITS.promptParts))).toThrow(/AND joins 65 prompts/);
  });
});

describe('stripComments', () => {
  it.each([
    ['a\n# b\nc', 'a\nc'],
    ['a # b\nc', 'a \nc'],
    ['# b', ''],
    ['a#b#c', 'a'],
    ['a\n  # b\n#c\n#d\ne', 'a\n  \ne'],
    ['a\\#b', 'a\\'],
    ['a\r\n#b\r\nc', 'a\r\nc'],
    ['no comment', 'no comment'],
  ])('%j', (prompt, expected) => {
    expect(stripComments(prompt)).toBe(expected);
  });
});
