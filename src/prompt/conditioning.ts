import { UsageError } from '../request/errors.js';
import type { EmphasisName } from '../request/limits.js';
import { LIMITS } from '../request/limits.js';
import { type PromptChunk, type Tokenizer, toChunks } from './chunks.js';
import { splitComposition } from './composition.js';
import { fieldLabel, type PromptField } from './position.js';
import { promptStages, type ScheduleTiming } from './schedule.js';

/** A text of a prompt as the text tower reads it. */
export interface PromptText {
  readonly text: string;
  readonly chunks: readonly PromptChunk[];
  /** Tokens of the text itself, without BOS, EOS and fill. */
  readonly tokenCount: number;
}

/** One of the prompts that AND joins, over the whole run. */
export interface PromptPart {
  readonly weight: number;
  /** Its distinct texts, in order of appearance; all have as many chunks as the longest. */
  readonly texts: readonly PromptText[];
  /** The place in `texts` that holds up to and with model call `until`; see `promptStages`. */
  readonly stages: readonly { readonly until: number; readonly text: number }[];
}

export interface PromptOptions {
  readonly tokenizer: Tokenizer;
  /** Length of a chunk with its start and end tokens: the text tower's positions (77). */
  readonly positions: number;
  readonly commaBacktrack: number;
  readonly emphasis: EmphasisName;
  readonly timing: ScheduleTiming;
}

/**
 * Reads a prompt in the webui's order: AND (positive prompts only), schedules, then weights and chunks for each text
 * that comes of it.
 * @throws UsageError for what is nested too deep, too long, or no usable number
 */
export function resolvePrompt(prompt: string, field: PromptField, options: PromptOptions): PromptPart[] {
  const composed = field === 'prompt' ? splitComposition(prompt) : [{ text: prompt, weight: 1 }];
  let windows = 0;
  return composed.map(({ text, weight }) => {
    const stages = promptStages(text, options.timing, field);
    const texts = [...new Set(stages.map((stage) => stage.text))];
    const chunked = texts.map((one) => chunkText(one, field, options));
    const longest = Math.max(...chunked.map(({ chunks }) => chunks.length));
    windows += longest * texts.length;
    if (windows > LIMITS.promptWindows) {
      throw new UsageError(
        `the ${fieldLabel(field)} changes into so many texts that they fill more than ${LIMITS.promptWindows} chunks of ` +
          `${options.positions - 2} tokens; shorten it or use fewer schedules`,
        field,
      );
    }
    const [fill] = chunkText('', field, options).chunks;
    for (const { chunks } of chunked) {
      while (fill !== undefined && chunks.length < longest) chunks.push(fill);
    }
    const places = new Map(texts.map((one, place) => [one, place]));
    return {
      weight,
      texts: chunked,
      stages: stages.map((stage) => ({ until: stage.until, text: places.get(stage.text) ?? 0 })),
    };
  });
}

function chunkText(text: string, field: PromptField, options: PromptOptions) {
  const { tokenizer, positions, commaBacktrack, emphasis } = options;
  return { text, ...toChunks(text, tokenizer, { positions, commaBacktrack, emphasis, field }) };
}
