import type { EmphasisName } from '../request/limits.js';
import { splitComposition } from './composition.js';
import { type PromptOptions, type PromptPart, type PromptText, resolvePrompt } from './conditioning.js';
import { parseAttention } from './grammar.js';
import type { PromptField } from './position.js';
import { parseSchedule } from './schedule-tree.js';
import type { ClipTokenizer } from './tokenizer.js';

/** A token in its place. */
export interface ExplainedToken {
  readonly id: number;
  /** Its entry in the vocabulary; a space at the end stands for the end of a word. */
  readonly text: string;
  readonly weight: number;
}

export interface ExplainedText {
  readonly text: string;
  readonly tokenCount: number;
  /** Without BOS, EOS and fill. */
  readonly chunks: readonly { readonly tokens: readonly ExplainedToken[] }[];
}

/** Steps (from 1) in which a text holds; for samplers that evaluate twice a step, evaluations. */
export interface ExplainedStage {
  readonly first: number;
  readonly last: number;
  /** Place in the part's texts. */
  readonly text: number;
}

export interface ExplainedPart {
  readonly weight: number;
  readonly texts: readonly ExplainedText[];
  readonly stages: readonly ExplainedStage[];
}

/** How a prompt is read, for people. */
export interface PromptExplanation {
  readonly parts: readonly ExplainedPart[];
  /** Words of letters that the vocabulary does not have as one token, and the pieces it makes of them. */
  readonly splitWords: readonly { readonly word: string; readonly pieces: readonly string[] }[];
  /** What may not be meant as it is read. */
  readonly notes: readonly string[];
}

type ExplainOptions = PromptOptions & { readonly tokenizer: ClipTokenizer };

/**
 * Reads a prompt as a run would and says what came of it.
 * @throws UsageError as resolvePrompt
 */
export function explainPrompt(prompt: string, field: PromptField, options: ExplainOptions): PromptExplanation {
  const { tokenizer, timing } = options;
  const total = timing.old === true ? timing.steps : (timing.hiresSteps ?? timing.steps);
  const parts = resolvePrompt(prompt, field, options);
  return {
    parts: parts.map(({ weight, texts, stages }) => ({
      weight,
      texts: texts.map((text) => explainText(text, options)),
      stages: stageRanges(stages, total),
    })),
    splitWords: findSplitWords(
      parts.flatMap(({ texts }) => texts.map(({ text }) => text)),
      tokenizer,
    ),
    notes: findNotes(prompt, field, parts, options.emphasis),
  };
}

function explainText({ text, chunks, tokenCount }: PromptText, { tokenizer }: ExplainOptions): ExplainedText {
  // A chunk's text ends at its first EOS; one that is written in the prompt cannot be told from fill that begins.
  const lengths = chunks.map(({ tokens }) => {
    const end = tokens.indexOf(tokenizer.eos);
    return end < 0 ? tokens.length : end;
  });
  return {
    text,
    tokenCount,
    chunks: chunks.map(({ tokens, weights }, i) => ({
      tokens: tokens.slice(1, lengths[i]).map((id, at) => ({
        id,
        text: tokenizer.tokenText(id),
        weight: weights[at + 1] ?? 1,
      })),
    })),
  };
}

/** The first stage covers calls 0 … until, each next one those after it; calls are counted from 1 for people. */
function stageRanges(stages: readonly { until: number; text: number }[], total: number): ExplainedStage[] {
  const ranges: { first: number; last: number; text: number }[] = [];
  let first = 1;
  for (const { until, text } of stages) {
    const last = Math.min(until + 1, total);
    const before = ranges.at(-1);
    if (last >= first) {
      if (before?.text === text) before.last = last;
      else ranges.push({ first, last, text });
      first = last + 1;
    }
  }
  return ranges;
}

function findSplitWords(texts: readonly string[], tokenizer: ClipTokenizer): PromptExplanation['splitWords'] {
  const found = new Map<string, readonly string[]>();
  for (const text of new Set(texts)) {
    for (const { word, ids } of tokenizer.words(text)) {
      if (ids.length < 2 || !/^\p{L}+$/u.test(word) || found.has(word)) continue;
      found.set(
        word,
        ids.map((id) => tokenizer.tokenText(id).trimEnd()),
      );
    }
  }
  return [...found].map(([word, pieces]) => ({ word, pieces }));
}

/** What a webui's user stumbles over. */
function findNotes(prompt: string, field: PromptField, parts: readonly PromptPart[], emphasis: EmphasisName): string[] {
  const notes: string[] = [];
  const composed = field === 'prompt' ? splitComposition(prompt).map(({ text }) => text) : [prompt];
  if (composed.some((text) => text.includes('[') && parseSchedule(text, field) === undefined)) {
    notes.push('a "|" outside of [a|b], or a "\\" at the end of a line, makes the brackets text: nothing is scheduled');
  }
  const [first] = parts;
  if (parts.length === 1 && first !== undefined && first.weight !== 1) {
    notes.push(`":${first.weight}" at the end is the weight of the whole prompt in the guidance, not text`);
  }
  const texts = parts.flatMap((part) => part.texts.map(({ text }) => text));
  const hasWeighedBreak = (text: string): boolean =>
    parseAttention(text, field).some((part) => part.kind === 'text' && part.text === 'BREAK' && part.weight < 0);
  if (emphasis !== 'None' && texts.some(hasWeighedBreak)) {
    notes.push('BREAK inside a weighted bracket is the word itself, not the start of a new chunk');
  }
  return notes;
}
