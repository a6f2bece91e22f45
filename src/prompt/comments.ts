/** A prompt without its comments: lines that start with # go, of other lines what follows a #. */
export function stripComments(text: string): string {
  if (!text.includes('#')) return text;
  return text
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .map((line) => line.split('#', 1)[0])
    .join('\n');
}
