import { UsageError } from '../request/errors.js';
import { column, fieldLabel, type PromptField } from './position.js';

const NETWORK_NAME = /<([\p{L}\p{N}_]+):/gu;
const NETWORKS = new Set(['lora', 'lyco', 'hypernet']);

/**
 * Refuses extra networks such as `<lora:name:1>`, which are not built, instead of giving them to the tokenizer as text.
 * In a positive prompt that is any `<name:...>`, which the webui takes out whether or not it knows the name.
 * @throws UsageError naming the first one and its column
 */
export function refuseNetworks(text: string, field: PromptField): void {
  const lastClose = text.lastIndexOf('>');
  for (const match of text.matchAll(NETWORK_NAME)) {
    const body = match.index + match[0].length;
    const counts = field === 'prompt' || NETWORKS.has((match[1] ?? '').toLowerCase());
    if (!counts || lastClose <= body || text[body] === '>') continue;
    const where = `${fieldLabel(field)}, column ${column(text, match.index)}`;
    const shown = excerpt(text, match.index, text.indexOf('>', body) + 1);
    throw new UsageError(`${where}: the extra network ${shown} is not built yet; remove it`, field);
  }
}

function excerpt(text: string, start: number, end: number): string {
  const shown = end - start > 48 ? `${text.slice(start, start + 45)}...` : text.slice(start, end);
  return JSON.stringify(shown);
}
