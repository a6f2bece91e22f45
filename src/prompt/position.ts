/** The two prompts of a request, by the names of its fields. */
export type PromptField = 'prompt' | 'negativePrompt';

/** A prompt's name for people. */
export function fieldLabel(field: PromptField): string {
  return field === 'prompt' ? 'prompt' : 'negative prompt';
}

/** The place of a UTF-16 index for people: 1-based and counted in code points from the start of the text. */
export function column(text: string, index: number): number {
  let count = 1;
  for (let i = 0; i < index; i += 1) {
    const unit = text.charCodeAt(i);
    const next = text.charCodeAt(i + 1);
    const isPair = unit >= 0xd800 && unit <= 0xdbff && next >= 0xdc00 && next <= 0xdfff;
    if (isPair) i += 1;
    count += 1;
  }
  return count;
}
