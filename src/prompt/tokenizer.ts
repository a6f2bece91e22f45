import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { FailureError } from '../request/errors.js';
import { mergeSymbols } from './byte-pair.js';
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

/** CLIP's byte-level BPE tokenizer (Radford et al. 2021), as SD1 uses it: HTML entities are text like any other. */
export class ClipTokenizer {
  readonly bos = 49_406;
  readonly eos = 49_407;
  /** Number of tokens; ids are 0 … size - 1. */
  readonly size = 49_408;
  /** The id of "," at the end of a word. */
  readonly comma: number;

  /** Bytes as the vocabulary writes them: one printable character each. */
  readonly #byteToCharacter: readonly string[];
  readonly #vocabulary: readonly string[];
  readonly #ids: ReadonlyMap<string, number>;
  readonly #ranks: ReadonlyMap<string, number>;

  /** @param merges the vocabulary's merges in order of rank, one "left right" a line. Throws E_IO when they are not CLIP's. */
  constructor(merges: string) {
    const lines = merges.split('\n').filter((line) => line !== '');
    if (lines.length !== MERGE_COUNT || lines.some((line) => line.split(' ').length !== 2)) {
      throw new FailureError(
        'E_IO',
        `the CLIP vocabulary is damaged (${lines.length} merges instead of ${MERGE_COUNT}); build again with "npm run build"`,
      );
    }
    const alphabet = byteAlphabet();
    this.#byteToCharacter = alphabet.byByte;
    this.#vocabulary = [
      ...alphabet.inOrder,
      ...alphabet.inOrder.map((character) => character + WORD_END),
      ...lines.map((line) => line.replace(' ', '')),
      BOS_TEXT,
      EOS_TEXT,
    ];
    this.#ids = new Map(this.#vocabulary.map((token, id) => [token, id]));
    this.#ranks = new Map(lines.map((line, rank) => [line, rank]));
    this.comma = this.#id(`,${WORD_END}`);
  }

  /**
   * Reads the vocabulary that the build puts into dist/assets (20 ms; keep the result).
   * @throws FailureError E_IO when it cannot be read.
   */
  static load(file: URL | string = MERGES): ClipTokenizer {
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
    return new ClipTokenizer(merges);
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
    const clean = trimEnd(trimStart(text)).replace(SPACES, ' ').toLowerCase();
    for (const [word] of clean.matchAll(WORDS)) yield word;
  }

  #append(word: string, ids: number[]): void {
    if (word === BOS_TEXT) ids.push(this.bos);
    else if (word === EOS_TEXT) ids.push(this.eos);
    else for (const symbol of this.#split(word)) ids.push(this.#id(symbol));
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

  #id(token: string): number {
    const id = this.#ids.get(token);
    if (id === undefined) throw new Error(`the vocabulary has no token ${JSON.stringify(token)}`);
    return id;
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
