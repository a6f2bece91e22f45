import { describe, expect, it } from 'vitest';
import { MAX_BRACKET_DEPTH } from '../../../src/prompt/grammar.js';
import { promptStages, type ScheduleTiming, stageAt } from '../../../src/prompt/schedule.js';
import { UsageError } from '../../../src/request/errors.js';

const stages = (text: string, timing: ScheduleTiming = { steps: 8 }) =>
  promptStages(text, timing).map((stage) => [stage.until, stage.text]);

/** The text of every step where it alternates from the first one on. */
const alternating = (texts: readonly string[], steps = 8) =>
  Array.from({ length: steps }, (_, i) => [i + 1, texts[i % texts.length]]);

describe('promptStages', () => {
  // What the webui's own parser gives, with a lark of today for its grammar.
  it.each<[string, (number | string | undefined)[][]]>([
    [
      '[iron:gold:0.5] cup',
      [
        [4, 'iron cup'],
        [8, 'gold cup'],
      ],
    ],
    [
      'cup[, rusty:0.3]',
      [
        [2, 'cup'],
        [8, 'cup, rusty'],
      ],
    ],
    [
      'cup[ lid::2]',
      [
        [2, 'cup lid'],
        [8, 'cup'],
      ],
    ],
    ['[a:b:0] x', [[8, 'b x']]],
    ['[a:b:20] x', [[8, 'a x']]],
    [
      '[x:[y:z:6]:3]',
      [
        [3, 'x'],
        [6, 'y'],
        [8, 'z'],
      ],
    ],
    ['[red|blue] sky', alternating(['red sky', 'blue sky'])],
    ['(bad:', [[8, '(bad:']]],
    // A bracket is a form only if it is whole, with all in it; else it is text around the forms inside.
    [
      '[a (b [c:3] d:4]',
      [
        [3, '[a (b  d:4]'],
        [8, '[a (b c d:4]'],
      ],
    ],
    [
      '[[a:b:3]',
      [
        [3, '[a'],
        [8, '[b'],
      ],
    ],
    [
      '[a:b:[c:3]:4]',
      [
        [3, '[a:b::4]'],
        [8, '[a:b:c:4]'],
      ],
    ],
    ['[a:(b:c:d):3]', [[8, '[a:(b:c:d):3]']]],
    ['[a:b:c:3]', [[8, '[a:b:c:3]']]],
    ['((a:b:3)', [[8, '((a:b:3)']]],
    ['[x:(y:3]', [[8, '[x:(y:3]']]],
    [
      '[[x]:(y):3]',
      [
        [3, '[x]'],
        [8, '(y)'],
      ],
    ],
    [
      '[a:(b:c):3]',
      [
        [3, 'a'],
        [8, '(b:c)'],
      ],
    ],
    // Numbers.
    ['[a:-2]', [[8, 'a']]],
    ['[a:+2.]', [[8, '']]],
    ['[a:1e1]', [[8, '']]],
    ['[a:5e-1]', [[8, 'a']]],
    [
      '[a: 3\n]',
      [
        [3, ''],
        [8, 'a'],
      ],
    ],
    ['[a:b:nan]', [[8, '[a:b:nan]']]],
    ['[a:b 3]', [[8, '[a:b 3]']]],
    ['[a:(3)]', [[8, '[a:(3)]']]],
    ['[a:1e999]', [[8, '']]],
    [
      '[::3]',
      [
        [3, ''],
        [8, ''],
      ],
    ],
    // Alternation.
    ['[fe|||]male', alternating(['female', 'male', 'male', 'male'])],
    [
      '[[a|b]:c:4]',
      [
        [1, 'a'],
        [2, 'b'],
        [3, 'a'],
        [4, 'b'],
        [5, 'c'],
        [6, 'c'],
        [7, 'c'],
        [8, 'c'],
      ],
    ],
    ['[a|[b|c]]', alternating(['a', 'c'])],
    // What has no meaning anywhere makes all of it text.
    ['a | b [c:d:3]', [[8, 'a | b [c:d:3]']]],
    ['[a|b:3] [c:d:3]', [[8, '[a|b:3] [c:d:3]']]],
    ['(a|b) [c:d:3]', [[8, '(a|b) [c:d:3]']]],
    ['[a|b [c:d:3]', [[8, '[a|b [c:d:3]']]],
    ['[c:d:3] a\\', [[8, '[c:d:3] a\\']]],
    ['[c:d:3] a\\\nb', [[8, '[c:d:3] a\\\nb']]],
    ['[a:\\\r:0]', [[8, '\\\r']]],
    // Escapes.
    ['\\[a:b:3\\]', [[8, '\\[a:b:3\\]']]],
    ['\\[a|b\\]', [[8, '\\[a|b\\]']]],
    [
      '[a\\]\\|:b:3]',
      [
        [3, 'a\\]\\|'],
        [8, 'b'],
      ],
    ],
    [
      '[\\😀:b:3]',
      [
        [3, '\\😀'],
        [8, 'b'],
      ],
    ],
  ])('%j', (prompt, expected) => {
    expect(stages(prompt)).toEqual(expected);
  });

  it.each<[string, (number | string)[][]]>([
    [
      '[iron:gold:1.5] cup',
      [
        [3, 'iron cup'],
        [6, 'gold cup'],
      ],
    ],
    [
      '[iron:gold:10]',
      [
        [2, 'iron'],
        [6, 'gold'],
      ],
    ],
    ['[iron:gold:0.5]', [[6, 'gold']]],
    ['[iron:gold:8]', [[6, 'gold']]],
    ['[iron:gold:20]', [[6, 'iron']]],
  ])('of the hires pass: %j', (prompt, expected) => {
    expect(stages(prompt, { steps: 8, hiresSteps: 6 })).toEqual(expected);
  });

  it.each<[string, (number | string)[][]]>([
    [
      '[a:b:1.5]',
      [
        [1, 'a'],
        [8, 'b'],
      ],
    ],
    [
      '[a:b:5e-1]',
      [
        [4, 'a'],
        [8, 'b'],
      ],
    ],
    ['[a:b:-0.5]', [[8, 'b']]],
  ])('as old webuis have it: %j', (prompt, expected) => {
    expect(stages(prompt, { steps: 8, old: true })).toEqual(expected);
    expect(stages(prompt, { steps: 8, hiresSteps: 5, old: true })).toEqual(expected);
  });

  // lark, which the webui parses with, makes such a form text; by no rule that one could state.
  it('takes a form for one also when two stray brackets or colons follow at once', () => {
    expect(stages('[a:b:3]::')).toEqual([
      [3, 'a::'],
      [8, 'b::'],
    ]);
  });

  it('refuses what would fill memory', () => {
    const refusal = (text: string, timing = { steps: 1000 }) => {
      expect(() => promptStages(text, timing)).toThrow(UsageError);
      expect(() => promptStages(text, timing, 'negativePrompt')).toThrow(/negative prompt/);
    };
    refusal(`[a|b] ${'x'.repeat(30_000)}`);
    refusal('['.repeat(MAX_BRACKET_DEPTH + 1));
    expect(stages('[a|b]', { steps: 2000 })).toHaveLength(2000);
  });

  it('is linear on long runs that tempt a parser to retry', () => {
    const started = performance.now();
    for (const piece of ['[a:b:1]', '[a|b]', ']', ':', '\\[', '[a:', '[(', '])', '[[[a]]]', ' ', '[a:0.5 ']) {
      const text = `[${piece.repeat(Math.floor(200_000 / piece.length))}]`;
      try {
        promptStages(text, { steps: 3 });
      } catch (error) {
        expect(error).toBeInstanceOf(UsageError);
      }
    }
    const nested = `${'[a:'.repeat(250)}${'x'.repeat(100_000)}${':1]'.repeat(250)}`;
    expect(stages(nested, { steps: 3 })).toHaveLength(2);
    // Quadratic work on any of them takes minutes.
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});

describe('stageAt', () => {
  it('is the first stage that reaches the call, so the first one lasts a call longer; past the end it is the first', () => {
    const list = [{ until: 2 }, { until: 4 }];
    expect([0, 1, 2, 3, 4, 5, 99].map((call) => stageAt(list, call))).toEqual([0, 0, 0, 1, 1, 0, 0]);
  });
});
