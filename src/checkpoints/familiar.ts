/** What a model's own metadata says of the prompts and sizes that it was trained on. */

/** Words that are no part of what a prompt asks for. */
const SYNTAX = new Set(['and', 'break', 'addcomm', 'addbase', 'addrow', 'addcol']);
/** A side so many times longer or shorter than the trained one gives pictures that repeat or fall apart. */
const FAR = 1.5;

/**
 * Words of a prompt that the model has never seen, in their order and each once; none where the metadata has no
 * `sdgen.known_words` (words of its training captions, separated by spaces). A plural is known where its singular is.
 */
export function unknownWords(metadata: Readonly<Record<string, string>>, prompt: string): string[] {
  if (!Object.hasOwn(metadata, 'sdgen.known_words')) return [];
  const known = new Set((metadata['sdgen.known_words'] ?? '').toLowerCase().split(' '));
  const isKnown = (word: string): boolean =>
    known.has(word) || [/s$/, /es$/].some((ending) => ending.test(word) && known.has(word.replace(ending, '')));
  const words = prompt.toLowerCase().match(/\p{L}[\p{L}\p{M}\p{N}'’]*/gu) ?? [];
  return [...new Set(words)].filter((word) => !SYNTAX.has(word) && !isKnown(word));
}

/** The size that the model was trained at, where the asked one is far from it. */
export function farFromTrained(
  metadata: Readonly<Record<string, string>>,
  asked: { readonly width: number; readonly height: number },
): { readonly width: number; readonly height: number } | undefined {
  const width = Number(metadata['sdgen.default_width']);
  const height = Number(metadata['sdgen.default_height']);
  if (!(width > 0 && height > 0)) return undefined;
  const ratios = [asked.width / width, asked.height / height].map((ratio) => Math.max(ratio, 1 / ratio));
  return Math.max(...ratios) > FAR ? { width, height } : undefined;
}
