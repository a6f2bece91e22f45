import { cacheFolder } from '../checkpoints/hash.js';
import { derive, OptionStore, optionsSchema } from '../context/options.js';
import type { CommandOptions } from '../context/runtime-context.js';
import { expandPrompts, scheduleCount } from '../pipeline/prompts.js';
import { DEFAULT_CHUNK_OPTIONS } from '../prompt/chunks.js';
import { type ExplainedPart, type ExplainedText, explainPrompt, type PromptExplanation } from '../prompt/explain.js';
import { ClipTokenizer } from '../prompt/tokenizer.js';
import { parseTextToImage, type TextToImageRequest } from '../request/txt2img.js';
import { CachedModelProvider } from '../runtime/model-provider.js';
import { openModel } from '../runtime/open-model.js';
import { loadStyles } from '../runtime/styles.js';
import { Tokenizers } from '../runtime/tokenizers.js';
import { findSampler } from '../sampling/samplers.js';
import { EXIT, warn } from './failure.js';
import { type Flags, pick } from './flags.js';
import { Interrupt } from './interrupt.js';
import { type Io, writeAll } from './io.js';
import { formatTable } from './report.js';
import { printable } from './run-info.js';
import { readCommandOptions } from './settings.js';

/** How a model reads text: tokens of a chunk, with start and end, and its tokenizer; CLIP's own without a model. */
async function readTower(
  commandOptions: CommandOptions,
  io: Io,
): Promise<{ positions: number; tokenizer: ClipTokenizer }> {
  if (commandOptions.model === undefined) {
    return { positions: DEFAULT_CHUNK_OPTIONS.positions, tokenizer: ClipTokenizer.load() };
  }
  const provider = new CachedModelProvider({
    cacheFolder: cacheFolder(io.env),
    onWarning: (message) => warn(io, message),
    addon: io.addon,
  });
  const interrupt = new Interrupt(io);
  try {
    const { model } = await openModel(commandOptions, provider, interrupt.signal);
    return { positions: model.description.text.positions, tokenizer: await new Tokenizers().of(model) };
  } finally {
    interrupt.release();
    await provider.dispose();
  }
}

interface Explained {
  readonly prompt: string;
  readonly steps: number;
  readonly sampler: string;
  /** What `stages` count. */
  readonly unit: 'step' | 'evaluation';
  readonly count: number;
  readonly emphasis: string;
  readonly chunkTokens: number;
}

type Document = Explained & PromptExplanation;

async function explain(text: string, flags: Flags, io: Io): Promise<Document> {
  const { values, nameOf } = flags;
  const field = values.negative === true ? 'negativePrompt' : 'prompt';
  const commandOptions = readCommandOptions(flags, io);
  const asked: TextToImageRequest = parseTextToImage(
    { prompt: '', ...pick(values, ['steps', 'sampler', 'styles']), [field]: text },
    nameOf,
  );
  const given = pick(values, Object.keys(optionsSchema.shape));
  const options = derive(new OptionStore().snapshot(), given, nameOf);
  const { [field]: prompt } = expandPrompts(asked, options, await loadStyles(asked.styles, commandOptions));
  const sampler = findSampler(asked.sampler);
  const count = scheduleCount(asked);
  const { positions, tokenizer } = await readTower(commandOptions, io);
  const { emphasis, commaPaddingBacktrack: commaBacktrack, oldPromptSchedules: old } = options;
  const timing = { steps: count, old };
  const reading = { tokenizer, positions, commaBacktrack, emphasis, timing };
  return {
    prompt,
    steps: asked.steps,
    sampler: sampler.name,
    unit: sampler.secondOrder ? 'evaluation' : 'step',
    count,
    emphasis,
    chunkTokens: positions - 2,
    ...explainPrompt(prompt, field, reading),
  };
}

const oneLine = (text: string): string => text.replace(/\s*[\r\n]+\s*/g, ' ↵ ');
const round = (weight: number): string => String(Number(weight.toFixed(4)));

function formatText({ text, tokenCount, chunks }: ExplainedText, room: number): string[] {
  const lines = [`"${oneLine(text)}": ${tokenCount} tokens in ${chunks.length} chunk${chunks.length === 1 ? '' : 's'}`];
  for (const [i, { tokens }] of chunks.entries()) {
    lines.push(`chunk ${i + 1}: ${tokens.length} of ${room} tokens`);
    const rows = tokens.map(({ id, text: token, weight }, at) => [
      String(at + 1),
      String(id),
      round(weight),
      token.trimEnd() + (token.endsWith(' ') ? '' : '…'),
    ]);
    if (rows.length > 0) lines.push(formatTable([['', 'id', 'weight', 'token'], ...rows], [0, 1, 2]));
  }
  return lines;
}

function formatPart(part: ExplainedPart, title: string, { unit, count, chunkTokens }: Explained): string[] {
  const rows = part.stages.map(({ first, last, text }) => [
    `${unit}${first === last ? ` ${first}` : `s ${first}-${last}`} of ${count}`,
    oneLine(part.texts[text]?.text ?? ''),
  ]);
  const schedule = part.texts.length > 1 ? [formatTable(rows)] : [];
  return [title, ...schedule, ...part.texts.flatMap((text) => ['', ...formatText(text, chunkTokens)]), ''];
}

function format(document: Document): string {
  const { parts, splitWords, notes } = document;
  const lines = [
    formatTable([
      ['prompt', oneLine(document.prompt)],
      ['steps', `${document.steps} of ${document.sampler}`],
      ['emphasis', document.emphasis],
    ]),
    '',
    ...parts.flatMap((part, i) =>
      formatPart(part, `part ${i + 1} of ${parts.length}, weight ${round(part.weight)}`, document),
    ),
  ];
  if (splitWords.length > 0) {
    lines.push('words that the vocabulary does not have whole:');
    lines.push(formatTable(splitWords.map(({ word, pieces }) => [`  ${word}`, pieces.join(' | ')])));
  }
  for (const note of notes) lines.push(`note: ${note}`);
  return `${lines.join('\n').trimEnd()}\n`;
}

/** @returns the exit code; throws UsageError for a prompt that cannot be read */
export async function runExplain(text: string, flags: Flags, io: Io): Promise<number> {
  const document = await explain(text, flags, io);
  const isJson = flags.values.json === true;
  await writeAll(io.stdout, isJson ? `${JSON.stringify(document, null, 2)}\n` : printable(format(document)));
  return EXIT.ok;
}
