import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stripComments } from '../../../src/prompt/comments.js';
import { type PromptOptions, resolvePrompt } from '../../../src/prompt/conditioning.js';
import { refuseNetworks } from '../../../src/prompt/networks.js';
import { ClipTokenizer } from '../../../src/prompt/tokenizer.js';
import { UsageError } from '../../../src/request/errors.js';
import { EMPHASIS_NAMES, LIMITS } from '../../../src/request/limits.js';

const OPTIONS: PromptOptions = {
  tokenizer: ClipTokenizer.load(),
  positions: 77,
  commaBacktrack: 20,
  emphasis: 'Original',
  timing: { steps: 8 },
};

describe('resolvePrompt', () => {
  it('gives each part its schedule and weights', () => {
    const parts = resolvePrompt('a [cat:(dog:1.5):0.5] AND a fox:0.5', 'prompt', OPTIONS);
    expect(parts.map(({ weight, stages, texts }) => [weight, stages, texts.map(({ text }) => text)])).toEqual([
      [
        1,
        [
          { until: 4, text: 0 },
          { until: 8, text: 1 },
        ],
        ['a cat', 'a (dog:1.5)'],
      ],
      [0.5, [{ until: 8, text: 0 }], [' a fox']],
    ]);
    expect(parts[0]?.texts[1]?.chunks[0]?.weights.slice(0, 4)).toEqual([1, 1, 1.5, 1]);
  });

  it('does not split a negative prompt', () => {
    const [part, ...others] = resolvePrompt('a AND b:0.5', 'negativePrompt', OPTIONS);
    expect([part?.weight, part?.texts[0]?.text, others]).toEqual([1, 'a AND b:0.5', []]);
  });

  it('fills the texts of a part up to the longest with empty chunks, each distinct text once', () => {
    const [part] = resolvePrompt(`[a|b|a] x [BREAK y:4]`, 'prompt', OPTIONS);
    expect(part?.stages).toHaveLength(8);
    expect(part?.texts.map(({ chunks }) => chunks.length)).toEqual([2, 2, 2, 2]);
    const [empty] = resolvePrompt('', 'prompt', OPTIONS);
    expect(part?.texts[0]?.chunks[1]).toEqual(empty?.texts[0]?.chunks[0]);
  });

  it('refuses more texts than memory should hold', () => {
    const steps = LIMITS.promptWindows / 2 + 1;
    const items = Array.from({ length: steps }, (_, i) => i).join('|');
    const timing = { steps };
    expect(resolvePrompt(`[${items}]`, 'prompt', { ...OPTIONS, timing })[0]?.texts).toHaveLength(steps);
    expect(() => resolvePrompt(`[${items}] BREAK x`, 'prompt', { ...OPTIONS, timing })).toThrow(
      /changes into so many texts that they fill more than 1000 chunks of 75 tokens/,
    );
  });
});

describe('no text throws anything but UsageError', () => {
  const pieces = fc.oneof(
    fc.constantFrom(...'()[]:|\\#<>,\n\r\t .-+é😀', '1.2', '3', '0.5]', ':4]', ':0.25]', '::2]', '[a|b]', 'e5'),
    fc.constantFrom('BREAK', ' AND ', '<lora:', 'cat', '[x:y:', '(z:1.1)', '\ud83d', '\u0085', '\u001c', '{prompt}'),
    fc.string({ unit: 'binary', maxLength: 6 }),
  );
  const prompts = fc.array(pieces, { maxLength: 60 }).map((list) => list.join(''));
  const timings = fc.record({
    steps: fc.integer({ min: 1, max: 40 }),
    hiresSteps: fc.option(fc.integer({ min: 1, max: 40 }), { nil: undefined }),
    old: fc.boolean(),
  });

  it('and what comes out is whole', () => {
    let resolved = 0;
    fc.assert(
      fc.property(
        prompts,
        fc.constantFrom('prompt' as const, 'negativePrompt' as const),
        fc.constantFrom(...EMPHASIS_NAMES),
        timings,
        (raw, field, emphasis, timing) => {
          const prompt = stripComments(raw);
          try {
            refuseNetworks(prompt, field);
          } catch (error) {
            expect(error).toBeInstanceOf(UsageError);
          }
          try {
            const parts = resolvePrompt(prompt, field, { ...OPTIONS, emphasis, timing });
            resolved += 1;
            expect(parts.length).toBeGreaterThan(0);
            for (const { weight, texts, stages } of parts) {
              expect(Number.isFinite(weight)).toBe(true);
              expect(stages.at(-1)?.until).toBe(timing.old ? timing.steps : (timing.hiresSteps ?? timing.steps));
              expect(new Set(stages.map(({ text }) => text)).size).toBe(texts.length);
              const lengths = new Set(texts.flatMap(({ chunks }) => chunks.map(({ tokens }) => tokens.length)));
              expect([...lengths]).toEqual([77]);
              expect(new Set(texts.map(({ chunks }) => chunks.length)).size).toBe(1);
            }
          } catch (error) {
            expect(error).toBeInstanceOf(UsageError);
          }
        },
      ),
      { numRuns: 3000 },
    );
    expect(resolved).toBeGreaterThan(2000);
  });
});
