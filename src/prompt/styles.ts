import { readFile, stat } from 'node:fs/promises';
import { FailureError, UsageError } from '../request/errors.js';
import { LIMITS } from '../request/limits.js';
import { didYouMean } from '../request/nearest.js';
import { showValue } from '../request/show-value.js';
import { parseCsv } from './csv.js';
import { fieldLabel, type PromptField } from './position.js';
import { trimEnd, trimStart } from './white-space.js';

/** Words to put around a prompt or behind it. */
export interface Style {
  readonly prompt: string;
  readonly negativePrompt: string;
}

export type Styles = ReadonlyMap<string, Style>;

/** A larger file is no list of styles. */
const MAX_FILE_BYTES = 16 << 20;
const PLACE = '{prompt}';

/**
 * The styles of a styles.csv as the webui writes it: columns name, prompt (in old files: text) and negative_prompt. Of
 * styles with the same name the last counts; names that start with # are comments.
 * @throws FailureError E_STYLES when there is no name or prompt column
 */
export function parseStyles(text: string): Styles {
  const [header = [], ...rows] = parseCsv(text.replace(/^\ufeff/, ''));
  const [name, prompt, negative] = [['name'], ['prompt', 'text'], ['negative_prompt']].map((names) =>
    Math.max(...names.map((column) => header.indexOf(column))),
  ) as [number, number, number];
  if (name < 0 || prompt < 0) {
    throw new FailureError('E_STYLES', 'the first line must name the columns: name,prompt,negative_prompt');
  }
  const styles = new Map<string, Style>();
  for (const row of rows) {
    const key = row[name] ?? '';
    if (key.startsWith('#')) continue;
    styles.set(key, { prompt: row[prompt] ?? '', negativePrompt: row[negative] ?? '' });
  }
  return styles;
}

/**
 * The styles of several files, a later one's before an earlier one's of the same name.
 * @throws FailureError naming the file that cannot be read
 */
export async function readStyles(files: readonly string[]): Promise<Styles> {
  const all = new Map<string, Style>();
  for (const file of files) {
    try {
      const { size } = await stat(file);
      if (size > MAX_FILE_BYTES)
        throw new FailureError('E_STYLES', `it is too large for a list of styles: ${size} bytes`);
      const text = new TextDecoder('utf-8', { fatal: true }).decode(await readFile(file));
      for (const [name, style] of parseStyles(text)) all.set(name, style);
    } catch (cause) {
      const code = cause instanceof FailureError ? cause.code : 'E_IO';
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new FailureError(code, `cannot read the styles in ${file}: ${reason}`, { cause });
    }
  }
  return all;
}

/**
 * A prompt with styles applied in their order: a style with {prompt} takes the prompt there, another follows it after a
 * comma, and an empty one changes nothing.
 * @throws UsageError for a name that is not there, and for a prompt that grows beyond its limit
 */
export function applyStyles(prompt: string, field: PromptField, names: readonly string[], styles: Styles): string {
  return names.reduce((text, name) => merge(text, field, name, findStyle(name, styles)[field]), prompt);
}

function findStyle(name: string, styles: Styles): Style {
  const style = styles.get(name);
  if (style !== undefined) return style;
  const where = styles.size === 0 ? '; there are no styles: give a file by --styles-file' : '';
  throw new UsageError(`unknown style ${showValue(name)}${where || didYouMean(name, [...styles.keys()])}`, 'styles');
}

function merge(prompt: string, field: PromptField, name: string, style: string): string {
  const pieces = style.split(PLACE);
  const trim = (text: string): string => trimEnd(trimStart(text));
  const length = style.length + pieces.length * prompt.length;
  if (length > LIMITS.promptCharacters) {
    throw new UsageError(
      `with the style ${showValue(name)} the ${fieldLabel(field)} would have more than ${LIMITS.promptCharacters} characters`,
      'styles',
    );
  }
  if (pieces.length > 1) return pieces.join(prompt);
  return [prompt, style]
    .map(trim)
    .filter((part) => part !== '')
    .join(', ');
}
