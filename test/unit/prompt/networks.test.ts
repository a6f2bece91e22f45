import { describe, expect, it } from 'vitest';
import { refuseNetworks } from '../../../src/prompt/networks.js';
import type { PromptField } from '../../../src/prompt/position.js';
import { UsageError } from '../../../src/request/errors.js';

function refusal(prompt: string, field: PromptField = 'prompt'): UsageError {
  try {
    refuseNetworks(prompt, field);
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('refuseNetworks', () => {
  it.each([
    'a plain prompt, (with weights:1.2), [from:to:0.5] and [dim|bright] light AND a dog',
    '<lora>, <lora:>, < lora:x>, <lora:x',
    'i <3 you :> a:b>c',
    '',
  ])('lets %j pass', (prompt) => {
    expect(() => refuseNetworks(prompt, 'prompt')).not.toThrow();
  });

  it.each([
    ['a <lora:ink:0.5> [a|b]', 3, 'the extra network "<lora:ink:0.5>"'],
    ['<LyCO:x:te=1>', 1, 'the extra network'],
    ['<hypernet:h:1>', 1, 'the extra network'],
    ['😀é<other:x>', 3, 'the extra network "<other:x>"'],
    [`<lora:${'x'.repeat(100)}>`, 1, `"<lora:${'x'.repeat(39)}..."`],
  ])('refuses %j', (prompt, place, what) => {
    const error = refusal(prompt);
    expect(error.message).toContain(`prompt, column ${place}: `);
    expect(error.message).toContain(what);
    expect(error.message).toContain('not built yet');
    expect(error.field).toBe('prompt');
  });

  it('takes unknown tags for text in a negative prompt, where the webui does not look for them', () => {
    expect(() => refuseNetworks('<other:x>', 'negativePrompt')).not.toThrow();
    const error = refusal('cat <lora:x:1>', 'negativePrompt');
    expect(error.message).toMatch(/^negative prompt, column 5: /);
    expect(error.field).toBe('negativePrompt');
  });
});
