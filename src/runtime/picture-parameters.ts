import type { ImageInfo } from '../image/codec.js';
import { type ParsedInfotext, parseInfotext } from '../image/infotext.js';
import { completeInfotext } from '../image/infotext-defaults.js';
import { SAMPLERS } from '../sampling/samplers.js';
import { SCHEDULERS } from '../sampling/schedules.js';

export interface PictureParameters extends ParsedInfotext {
  /** The text itself; for a NovelAI picture its translation. */
  readonly text: string;
  /** `parameters` with what is left out filled in and old names translated. */
  readonly complete: ReadonlyMap<string, string>;
}

const SCHEDULE_NAMES = SCHEDULERS.map(({ label, name, aliases }) => [label, name, ...aliases]);

function samplerName(novelAi: unknown): string {
  const wanted = String(novelAi).toLowerCase();
  const found = SAMPLERS.find((info) => [info.name.toLowerCase(), info.id, ...info.aliases].includes(wanted));
  return found?.name ?? 'Euler a';
}

function parseObject(text: string | undefined): object | undefined {
  try {
    const value: unknown = JSON.parse(text ?? '');
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined; // then it is no NovelAI picture that can be read
    throw error;
  }
}

/** A NovelAI picture's parameters in the webui's words; undefined where they are incomplete. */
function translateNovelAi(info: ImageInfo): string | undefined {
  const texts = new Map(info.texts.map(({ keyword, text }) => [keyword, text]));
  if (texts.get('Software') !== 'NovelAI') return undefined;
  const comment = parseObject(texts.get('Comment'));
  const description = texts.get('Description');
  if (comment === undefined || description === undefined) return undefined;
  const [uc, sampler, ...numbers] = ['uc', 'sampler', 'steps', 'scale', 'seed'].map((key): unknown =>
    Object.hasOwn(comment, key) ? Reflect.get(comment, key) : undefined,
  );
  if (typeof uc !== 'string' || !numbers.every((value) => typeof value === 'number')) return undefined;
  const [steps, scale, seed] = numbers;
  const size = `${info.width}x${info.height}`;
  return (
    `${description}\nNegative prompt: ${uc}\nSteps: ${steps}, Sampler: ${samplerName(sampler)}, CFG scale: ${scale}, ` +
    `Seed: ${seed}, Size: ${size}, Clip skip: 2, ENSD: 31337`
  );
}

/** What an image file says of how it was made; undefined where it says nothing. Never fails: texts are strangers'. */
export function pictureParameters(info: ImageInfo): PictureParameters | undefined {
  const written = info.texts.find(({ keyword }) => keyword === 'parameters')?.text;
  const text = written ?? translateNovelAi(info);
  if (text === undefined) return undefined;
  const parsed = parseInfotext(text);
  return { text, ...parsed, complete: completeInfotext(parsed, SCHEDULE_NAMES) };
}
