import { UsageError } from '../request/errors.js';
import { type EmphasisName, LIMITS } from '../request/limits.js';
import { type PromptPart, parseAttention } from './grammar.js';
import { fieldLabel, type PromptField } from './position.js';

/** What chunking needs of a tokenizer; ClipTokenizer is one. */
export interface Tokenizer {
  readonly bos: number;
  readonly eos: number;
  /** What stands after a chunk's first EOS: EOS for CLIP, 0 for OpenCLIP. */
  readonly pad: number;
  /** The token of a comma that ends a word. */
  readonly comma: number;
  encode(text: string): number[];
}

export interface ChunkOptions {
  /** Length of a chunk with its start and end tokens: the text tower's positions (77). */
  readonly positions: number;
  /** How many tokens back a comma may lie for the words after it to move to the next chunk together; 0 = never. */
  readonly commaBacktrack: number;
  /** What brackets mean; "Original" unless said, which differs from "No norm" only in the engine. */
  readonly emphasis?: EmphasisName;
  /** Whose text it is, for errors; the prompt's unless said. */
  readonly field?: PromptField;
}

export interface PromptChunk {
  /** `positions` ids: BOS, text, EOS and fill. */
  readonly tokens: number[];
  /** The weight of each token: 1 for BOS, EOS and fill. */
  readonly weights: number[];
}

export interface ChunkedPrompt {
  readonly chunks: PromptChunk[];
  /** Tokens of the text itself, without BOS, EOS and fill. */
  readonly tokenCount: number;
}

export const DEFAULT_CHUNK_OPTIONS: ChunkOptions = Object.freeze({ positions: 77, commaBacktrack: 20 });

/**
 * Cuts a prompt into windows of the text tower: attention weights as `parseAttention` has them, a new chunk at each BREAK
 * and wherever one is full, then at the last comma if it is near. An empty prompt is one chunk of fill. With emphasis
 * "None" brackets and BREAK are text; with "Ignore" they are read and all weights are 1.
 * @throws UsageError for more than LIMITS.promptChunks chunks, and what parseAttention throws.
 */
export function toChunks(
  prompt: string,
  tokenizer: Tokenizer,
  options: ChunkOptions = DEFAULT_CHUNK_OPTIONS,
): ChunkedPrompt {
  if (!Number.isInteger(options.positions) || options.positions < 3) {
    throw new RangeError(`a chunk needs at least 3 positions, not ${options.positions}`);
  }
  const builder = new ChunkBuilder(tokenizer, options);
  for (const part of readParts(prompt, options)) {
    if (part.kind === 'break') builder.close();
    else for (const token of tokenizer.encode(part.text)) builder.add(token, part.weight);
  }
  return builder.finish();
}

function readParts(prompt: string, { emphasis, field }: ChunkOptions): PromptPart[] {
  if (emphasis === 'None') return [{ kind: 'text', text: prompt, weight: 1 }];
  const parts = parseAttention(prompt, field);
  return emphasis === 'Ignore' ? parts.map((part) => (part.kind === 'text' ? { ...part, weight: 1 } : part)) : parts;
}

/** Everything after the first EOS, one in the text included, becomes pad, as in the webui. */
function padAfterEnd(tokens: number[], { eos, pad }: Tokenizer): number[] {
  return tokens.fill(pad, tokens.indexOf(eos) + 1);
}

class ChunkBuilder {
  readonly #tokenizer: Tokenizer;
  readonly #room: number;
  readonly #backtrack: number;
  readonly #field: PromptField;
  readonly #chunks: PromptChunk[] = [];
  #closed = 0;
  #tokens: number[] = [];
  #weights: number[] = [];
  /** Place of the last comma in the open chunk; -1 where there is none. */
  #lastComma = -1;
  #tokenCount = 0;

  constructor(tokenizer: Tokenizer, options: ChunkOptions) {
    this.#tokenizer = tokenizer;
    this.#room = options.positions - 2;
    this.#backtrack = options.commaBacktrack;
    this.#field = options.field ?? 'prompt';
  }

  add(token: number, weight: number): void {
    this.#tokenCount += 1;
    const length = this.#tokens.length;
    const isFull = length === this.#room;
    if (token === this.#tokenizer.comma) {
      this.#lastComma = length;
    } else if (isFull && this.#backtrack > 0 && this.#lastComma >= 0 && length - this.#lastComma <= this.#backtrack) {
      const cut = this.#lastComma + 1;
      const movedTokens = this.#tokens.splice(cut);
      const movedWeights = this.#weights.splice(cut);
      this.close();
      this.#tokens = movedTokens;
      this.#weights = movedWeights;
    }
    if (this.#tokens.length === this.#room) this.close();
    this.#tokens.push(token);
    this.#weights.push(weight);
  }

  /** Ends the open chunk, however little it holds. Chunks beyond the limit are only counted. */
  close(): void {
    const { bos, eos } = this.#tokenizer;
    const fill = this.#room - this.#tokens.length;
    if (this.#closed < LIMITS.promptChunks) {
      this.#chunks.push({
        tokens: padAfterEnd([bos, ...this.#tokens, ...new Array<number>(fill + 1).fill(eos)], this.#tokenizer),
        weights: [1, ...this.#weights, ...new Array<number>(fill + 1).fill(1)],
      });
    }
    this.#closed += 1;
    this.#tokens = [];
    this.#weights = [];
    this.#lastComma = -1;
  }

  finish(): ChunkedPrompt {
    if (this.#tokens.length > 0 || this.#closed === 0) this.close();
    if (this.#closed > LIMITS.promptChunks) {
      throw new UsageError(
        `the ${fieldLabel(this.#field)} has ${this.#tokenCount} tokens in ${this.#closed} chunks of ${this.#room}; ` +
          `the limit is ${LIMITS.promptChunks} chunks (${LIMITS.promptChunks * this.#room} tokens): shorten it`,
        this.#field,
      );
    }
    return { chunks: this.#chunks, tokenCount: this.#tokenCount };
  }
}
