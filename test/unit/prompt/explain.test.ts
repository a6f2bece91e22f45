import { describe, expect, it } from 'vitest';
import { explainPrompt } from '../../../src/prompt/explain.js';
import { stageAt } from '../../../src/prompt/schedule.js';
import { ClipTokenizer } from '../../../src/prompt/tokenizer.js';

const OPTIONS = {
  tokenizer: ClipTokenizer.load(),
  positions: 77,
  commaBacktrack: 20,
  emphasis: 'Original',
  timing: { steps: 8 },
} as const;

describe('explainPrompt', () => {
  it('shows tokens with weights, chunk by chunk', () => {
    const { parts, splitWords, notes } = explainPrompt('a (fox:1.3) BREAK unphotogenic', 'prompt', OPTIONS);
    expect(parts).toEqual([
      {
        weight: 1,
        stages: [{ first: 1, last: 8, text: 0 }],
        texts: [
          {
            text: 'a (fox:1.3) BREAK unphotogenic',
            tokenCount: 4,
            chunks: [
              {
                tokens: [
                  { id: 320, text: 'a ', weight: 1 },
                  { id: 3240, text: 'fox ', weight: 1.3 },
                ],
              },
              {
                tokens: [
                  { id: 569, text: 'un', weight: 1 },
                  { id: 36108, text: 'photogenic ', weight: 1 },
                ],
              },
            ],
          },
        ],
      },
    ]);
    expect(splitWords).toEqual([{ word: 'unphotogenic', pieces: ['un', 'photogenic'] }]);
    expect(notes).toEqual([]);
  });

  it('counts the steps of a schedule as the sampler will', () => {
    for (const prompt of ['[a:b:0.5]', '[a|b|c]', '[a:b:1]', '[a:b:7]', '[a:b:8]', '[a:[b:c:6]:3] [d|e]', 'x']) {
      const [part] = explainPrompt(prompt, 'prompt', OPTIONS).parts;
      const covered = part?.stages.flatMap(({ first, last, text }) =>
        Array.from({ length: last - first + 1 }, (_, i) => [first + i, text] as const),
      );
      expect(covered?.map(([step]) => step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
      expect(new Set(part?.stages.map(({ first }) => first)).size).toBe(part?.stages.length);
    }
    const [part] = explainPrompt('[a:b:0.5]', 'prompt', OPTIONS).parts;
    expect(part?.stages).toEqual([
      { first: 1, last: 5, text: 0 },
      { first: 6, last: 8, text: 1 },
    ]);
    expect([4, 5].map((call) => stageAt([{ until: 4 }, { until: 8 }], call))).toEqual([0, 1]);
  });

  it.each([
    ['a | b [c:d:3]', /outside of \[a\|b\]/],
    ['at 10:30', /":30" at the end is the weight of the whole prompt/],
    ['(a BREAK b:1.1)', /BREAK inside a weighted bracket/],
  ])('notes what %j may not mean', (prompt, note) => {
    expect(explainPrompt(prompt, 'prompt', OPTIONS).notes).toEqual([expect.stringMatching(note)]);
  });

  it('reads a negative prompt without AND, and brackets as text where weights are off', () => {
    const { parts, notes } = explainPrompt('a AND (b BREAK c:1.1)', 'negativePrompt', { ...OPTIONS, emphasis: 'None' });
    expect(parts).toHaveLength(1);
    expect(parts[0]?.texts[0]?.chunks).toHaveLength(1);
    expect(notes).toEqual([]);
  });
});
