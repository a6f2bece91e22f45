import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { FailureError } from '../request/errors.js';
import { mergeSymbols } from './byte-pair.js';
import { unescapeHtml } from './html-entities.js';
import { trimEnd, trimStart, WHITE_SPACE } from './white-space.js';

const MERGES = new URL('../../dist/assets/clip-merges.txt', import.meta.url);
const MERGE_COUNT = 48_894;
const BOS_TEXT = '<|startoftext|>';
const EOS_TEXT = '<|endoftext|>';
const WORD_END = '</w>';

const SPACES = new RegExp(`[${WHITE_SPACE}]+`, 'gu');
/**
 * CLIP's own pattern, which ignores case; here the flag `i` would make \p{L} match U+0345, so the only letter of the
 * literals with a second lower-case form, the long s, is written out.
 */
const WORDS = new RegExp(
  `<\\|[sſ]tartoftext\\|>|<\\|endoftext\\|>|'[sſ]|'t|'re|'ve|'m|'ll|'d|\\p{L}+|\\p{N}|[^${WHITE_SPACE}\\p{L}\\p{N}]+`,
  'gu',
);

/** Words whose ids are kept, so that the many texts of a schedule cost what they differ in; longer words are not. */
const KEPT_WORDS = 4096;
const KEPT_LENGTH = 64;

/** A vocabulary of its own: ids by token, and the texts of the special tokens where they are not CLIP's. */
export interface Vocabulary {
  readonly ids: ReadonlyMap<string, number>;
  readonly bos?: string | undefined;
  readonly eos?: string | undefined;
  readonly pad?: string | undefined;
}

/** What differs between the tokenizers with CLIP's vocabulary. */
export interface TokenizerTraits {
  /** The id after a chunk's end; EOS unless said. */
  readonly pad?: number;
  /** Whether HTML entities are unescaped (twice, as OpenAI's and OpenCLIP's code does) before a text is read. */
  readonly unescapesHtml: boolean;
}
/** As SD1 uses it: HTML entities are text like any other. */
const CLIP_TRAITS: TokenizerTraits = { unescapesHtml: false };
/** As SD2 in one file uses it. */
export const OPEN_CLIP_TRAITS: TokenizerTraits = { pad: 0, unescapesHtml: true };

/** CLIP's byte-level BPE tokenizer (Radford et al. 2021). */
export class ClipTokenizer {
  readonly bos: number;
  readonly eos: number;
  readonly pad: number;
  /** Number of tokens; ids are 0 … size - 1. */
  readonly size: number;
  /** The id of "," at the end of a word; -1 where the vocabulary has none. */
  readonly comma: number;

  /** Bytes as the vocabulary writes them: one printable character each. */
  readonly #byteToCharacter: readonly string[];
  readonly #vocabulary: readonly string[];
  readonly #ids: ReadonlyMap<string, number>;
  readonly #ranks: ReadonlyMap<string, number>;

  readonly #unescapes: boolean;
  /** Ids by word, of words that were met. */
  readonly #known = new Map<string, readonly number[]>();

  /** @param merges the vocabulary's merges in order of rank, one "left right" a line. Throws E_IO when they are not CLIP's. */
  constructor(merges: string, traits: TokenizerTraits = CLIP_TRAITS, own?: Vocabulary) {
    const lines = merges.split(/\r?\n/).filter((line) => line !== '');
    const areMerges = lines.every((line) => line.split(' ').length === 2);
    if (own !== undefined && !areMerges) {
      throw new FailureError('E_MODEL_FORMAT', "the tokenizer's merges.txt is damaged: each line needs two parts");
    }
    if (own === undefined && (lines.length !== MERGE_COUNT || !areMerges)) {
      throw new FailureError(
        'E_IO',
        `the CLIP vocabulary is damaged (${lines.length} merges instead of ${MERGE_COUNT}); build again with "npm run build"`,
      );
    }
    const alphabet = byteAlphabet();
    this.#byteToCharacter = alphabet.byByte;
    this.#ids =
      own?.ids ??
      new Map(
        [
          ...alphabet.inOrder,
          ...alphabet.inOrder.map((character) => character + WORD_END),
          ...lines.map((line) => line.replace(' ', '')),
          BOS_TEXT,
          EOS_TEXT,
        ].map((token, id) => [token, id]),
      );
    const vocabulary: string[] = [];
    let largest = -1;
    for (const [token, id] of this.#ids) {
      vocabulary[id] = token;
      largest = Math.max(largest, id);
    }
    this.#vocabulary = vocabulary;
    this.size = largest + 1;
    this.#ranks = new Map(lines.map((line, rank) => [line, rank]));
    this.bos = this.#special(own?.bos ?? BOS_TEXT);
    this.eos = this.#special(own?.eos ?? EOS_TEXT);
    this.pad = traits.pad ?? (own?.pad === undefined ? this.eos : this.#special(own.pad));
    this.#unescapes = traits.unescapesHtml;
    this.comma = this.#ids.get(`,${WORD_END}`) ?? -1;
  }

  /**
   * A vocabulary that came with a model, as transformers keeps it.
   * @throws FailureError E_MODEL_FORMAT when its special tokens are not in it
   */
  static of(vocabulary: Vocabulary & { readonly merges: string }): ClipTokenizer {
    return new ClipTokenizer(vocabulary.merges.replace(/^#version.*\r?\n/, ''), CLIP_TRAITS, vocabulary);
  }

  /**
   * Reads the vocabulary that the build puts into dist/assets (20 ms; keep the result).
   * @throws FailureError E_IO when it cannot be read.
   */
  static load(file: URL | string = MERGES, traits: TokenizerTraits = CLIP_TRAITS): ClipTokenizer {
    let merges: string;
    try {
      merges = readFileSync(file, 'utf8');
    } catch (cause) {
      const path = typeof file === 'string' ? file : fileURLToPath(file);
      throw new FailureError(
        'E_IO',
        `cannot read the CLIP vocabulary ${path}; make it with "npm run build", or install the package again`,
        { cause },
      );
    }
    return new ClipTokenizer(merges, traits);
  }

  /** The ids of a text, without BOS and EOS; nothing is cut off. Work is n log n in the text's length. */
  encode(text: string): number[] {
    const ids: number[] = [];
    for (const word of this.#words(text)) this.#append(word, ids);
    return ids;
  }

  /** A text's words as the vocabulary cuts it, in lower case: runs of letters, single digits, runs of other characters. */
  words(text: string): { readonly word: string; readonly ids: readonly number[] }[] {
    return Array.from(this.#words(text), (word) => {
      const ids: number[] = [];
      this.#append(word, ids);
      return { word, ids };
    });
  }

  *#words(text: string): Generator<string> {
    const plain = this.#unescapes ? unescapeHtml(unescapeHtml(text)) : text;
    const clean = trimEnd(trimStart(plain)).replace(SPACES, ' ').toLowerCase();
    for (const [word] of clean.matchAll(WORDS)) yield word;
  }

  #append(word: string, ids: number[]): void {
    if (word === BOS_TEXT) ids.push(this.bos);
    else if (word === EOS_TEXT) ids.push(this.eos);
    else for (const id of this.#idsOf(word)) ids.push(id);
  }

  #idsOf(word: string): readonly number[] {
    const known = this.#known.get(word);
    if (known !== undefined) return known;
    const ids = this.#split(word).map((symbol) => this.#id(symbol));
    if (word.length > KEPT_LENGTH) return ids;
    if (this.#known.size >= KEPT_WORDS) this.#known.clear();
    this.#known.set(word, ids);
    return ids;
  }

  /** An id's entry in the vocabulary as text: bytes decoded (a part of a character shows as U+FFFD), a word's end as a space. */
  tokenText(id: number): string {
    return this.decode([id]);
  }

  /** The text of ids; as encode lower-cases and collapses white space, it need not be the text that was encoded. */
  decode(ids: readonly number[]): string {
    const byCharacter = new Map(this.#byteToCharacter.map((character, byte) => [character, byte]));
    const bytes: number[] = [];
    for (const id of ids) {
      const token = this.#vocabulary[id];
      if (token === undefined) throw new RangeError(`token id ${id} is not in 0 … ${this.size - 1}`);
      const endsWord = token.endsWith(WORD_END);
      for (const character of endsWord ? token.slice(0, -WORD_END.length) : token) {
        const byte = byCharacter.get(character);
        if (byte !== undefined) bytes.push(byte);
      }
      if (endsWord) bytes.push(0x20);
    }
    return Buffer.from(bytes).toString('utf8');
  }

  #split(word: string): string[] {
    const symbols = Array.from(Buffer.from(word, 'utf8'), (byte) => this.#byteToCharacter[byte] ?? '');
    symbols.push((symbols.pop() ?? '') + WORD_END);
    return mergeSymbols(symbols, this.#ranks);
  }

  /** What a vocabulary lacks is "unknown", for which CLIP's end stands. */
  #id(token: string): number {
    return this.#ids.get(token) ?? this.eos;
  }

  #special(token: string): number {
    const id = this.#ids.get(token);
    if (id !== undefined) return id;
    throw new FailureError('E_MODEL_FORMAT', `the tokenizer's vocabulary has no ${JSON.stringify(token)}`);
  }
}

/** The printable bytes come first and stand for themselves; the others follow as U+0100, U+0101, … */
function byteAlphabet(): { byByte: string[]; inOrder: string[] } {
  const isPrintable = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  const bytes = Array.from({ length: 256 }, (_, byte) => byte);
  const others = bytes.filter((byte) => !isPrintable(byte));
  const byByte = bytes.map((byte) => String.fromCharCode(isPrintable(byte) ? byte : 256 + others.indexOf(byte)));
  const inOrder = [...bytes.filter(isPrintable), ...others].map((byte) => byByte[byte] ?? '');
  return { byByte, inOrder };
}
