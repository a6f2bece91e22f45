import { join } from 'node:path';
import { readTokenizerFiles } from '../checkpoints/tokenizer-files.js';
import type { OpenModel } from '../context/runtime-context.js';
import { ClipTokenizer, OPEN_CLIP_TRAITS } from '../prompt/tokenizer.js';

/** The tokenizer of each model, made on first use. */
export class Tokenizers {
  readonly #made = new Map<string, Promise<ClipTokenizer>>();

  /** @throws FailureError E_IO, E_MODEL_FORMAT when its vocabulary cannot be read or used */
  of({ description, sha256 }: Pick<OpenModel, 'description' | 'sha256'>): Promise<ClipTokenizer> {
    const kind = description.text.tokenizer;
    const key = kind === 'folder' ? sha256 : kind;
    const known = this.#made.get(key);
    if (known !== undefined) return known;
    const made = makeTokenizer(kind, description.path);
    this.#made.set(key, made);
    made.catch(() => this.#made.delete(key)); // the next one may try again
    return made;
  }
}

async function makeTokenizer(kind: 'clip' | 'open_clip' | 'folder', path: string): Promise<ClipTokenizer> {
  if (kind === 'folder') return ClipTokenizer.of(await readTokenizerFiles(join(path, 'tokenizer')));
  return ClipTokenizer.load(undefined, kind === 'open_clip' ? OPEN_CLIP_TRAITS : undefined);
}
