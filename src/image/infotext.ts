import { isPythonSpace, pythonFloat, pythonStrip } from './python-text.js';

/** A value of one parameter; a number prints as it stands ("7"), so give a float as `pythonFloat(7)`. Null is left out. */
export type InfotextValue = string | number | boolean | null | undefined;

/** What a picture's parameters say, in the webui's words. What is undefined, null or at its default is not written. */
export interface InfotextFields {
  readonly prompt: string;
  readonly negativePrompt?: string | undefined;
  readonly steps: number;
  /** The sampler's name as in the table, e.g. "DPM++ 2M". */
  readonly sampler: string;
  /** The label that computeSigmas gives, e.g. "Karras". */
  readonly scheduleType?: string | undefined;
  readonly cfgScale: number;
  /** Of models that follow a picture as they follow the prompt. */
  readonly imageCfgScale?: number | undefined;
  readonly seed: number;
  /** The restorer's name, e.g. "CodeFormer". */
  readonly faceRestoration?: string | undefined;
  readonly width: number;
  readonly height: number;
  /** First ten hex digits of the file's SHA-256. */
  readonly modelHash?: string | undefined;
  readonly model?: string | undefined;
  /** How weights are kept in 8 bits: "Enable" or "Enable for SDXL"; "Disable" is not written. */
  readonly fp8Weight?: string | undefined;
  readonly cacheFp16Weight?: boolean | undefined;
  readonly vaeHash?: string | undefined;
  readonly vae?: string | undefined;
  readonly variationSeed?: number | undefined;
  /** 0 … 1; at 0 neither it nor the variation seed is written. */
  readonly variationSeedStrength?: number | undefined;
  /** "WxH". */
  readonly seedResizeFrom?: string | undefined;
  readonly denoisingStrength?: number | undefined;
  /** How strongly an inpainting model sees the mask, 0 … 1. */
  readonly conditionalMaskWeight?: number | undefined;
  /** Written when greater than 1. */
  readonly clipSkip?: number | undefined;
  /** Delta of the seed of later noise; written when not 0. */
  readonly ensd?: number | undefined;
  /** Share of tokens merged, in the first and in the second pass; written when not 0. */
  readonly tokenMergingRatio?: number | undefined;
  readonly tokenMergingRatioHr?: number | undefined;
  readonly initImageHash?: string | undefined;
  /** "GPU", "CPU" or "NV"; GPU is not written. */
  readonly rng?: string | undefined;
  readonly tiling?: boolean | undefined;
  /** Further keys in the order in which they are to stand, after all of the above. */
  readonly extras?: readonly (readonly [key: string, value: InfotextValue])[] | undefined;
  /** This program's version, "X.Y.Z"; written as "sdgen X.Y.Z", since a bare number would be read as an old webui's. */
  readonly version: string;
  readonly user?: string | undefined;
}

export interface ParsedInfotext {
  readonly prompt: string;
  readonly negativePrompt: string;
  /** In the order of the text; "Size: 512x768" is there as "Size-1" and "Size-2". A repeated key has its last value. */
  readonly parameters: ReadonlyMap<string, string>;
}

const NEGATIVE = 'Negative prompt:';

/** The text of a picture's `parameters`: prompt, negative prompt where there is one, and a line of "Key: value" pairs. */
export function formatInfotext(fields: InfotextFields): string {
  const line = parameterPairs(fields)
    .flatMap(([key, value]) => (value === null || value === undefined ? [] : [formatPair(key, value)]))
    .join(', ');
  const negative = fields.negativePrompt ? `\n${NEGATIVE} ${fields.negativePrompt}` : '';
  return pythonStrip(`${fields.prompt}${negative}\n${line}`);
}

/** Keys in the webui's order; readers do not need it, but people compare these lines. */
function parameterPairs(fields: InfotextFields): (readonly [string, InfotextValue])[] {
  const hasVariation = (fields.variationSeedStrength ?? 0) !== 0;
  return [
    ['Steps', fields.steps],
    ['Sampler', fields.sampler],
    ['Schedule type', fields.scheduleType],
    ['CFG scale', optionalFloat(fields.cfgScale)],
    ['Image CFG scale', optionalFloat(fields.imageCfgScale)],
    ['Seed', fields.seed],
    ['Face restoration', fields.faceRestoration],
    ['Size', `${fields.width}x${fields.height}`],
    ['Model hash', fields.modelHash],
    ['Model', fields.model],
    ['FP8 weight', fields.fp8Weight === 'Disable' ? undefined : fields.fp8Weight],
    ['Cache FP16 weight for LoRA', fields.cacheFp16Weight === true ? true : undefined],
    ['VAE hash', fields.vaeHash],
    ['VAE', fields.vae],
    ['Variation seed', hasVariation ? fields.variationSeed : undefined],
    ['Variation seed strength', hasVariation ? optionalFloat(fields.variationSeedStrength) : undefined],
    ['Seed resize from', fields.seedResizeFrom],
    ['Denoising strength', optionalFloat(fields.denoisingStrength)],
    ['Conditional mask weight', optionalFloat(fields.conditionalMaskWeight)],
    ['Clip skip', (fields.clipSkip ?? 1) > 1 ? fields.clipSkip : undefined],
    ['ENSD', fields.ensd === 0 ? undefined : fields.ensd],
    ['Token merging ratio', fields.tokenMergingRatio === 0 ? undefined : fields.tokenMergingRatio],
    ['Token merging ratio hr', fields.tokenMergingRatioHr === 0 ? undefined : fields.tokenMergingRatioHr],
    ['Init image hash', fields.initImageHash],
    ['RNG', fields.rng === 'GPU' ? undefined : fields.rng],
    ['Tiling', fields.tiling === true ? true : undefined],
    ...(fields.extras ?? []),
    ['Version', `sdgen ${fields.version}`],
    ['User', fields.user],
  ];
}

function optionalFloat(value: number | undefined): string | undefined {
  return value === undefined ? undefined : pythonFloat(value);
}

/** "Key: value, Key: value", as a picture's parameters have them. */
export function formatPairs(pairs: readonly (readonly [key: string, value: string])[]): string {
  return pairs.map(([key, value]) => formatPair(key, value)).join(', ');
}

function formatPair(key: string, value: string | number | boolean): string {
  const text = typeof value === 'boolean' ? (value ? 'True' : 'False') : String(value);
  return text === key ? key : `${key}: ${quote(text)}`;
}

/** A JSON string where the plain value would end the pair or the line. */
function quote(text: string): string {
  return /[,\n:]/.test(text) ? JSON.stringify(text) : text;
}

function unquote(text: string): string {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'string' ? value : text;
  } catch (error) {
    // Quotes that are part of the value, not around it.
    if (error instanceof SyntaxError) return text;
    throw error;
  }
}

/**
 * Reads a picture's parameters as the webui does: the last line counts as parameters only when it has at least three
 * pairs; a line that starts with "Negative prompt:" switches to the negative prompt. Never fails: text in another form
 * is all prompt. Work is linear in the text's length.
 */
export function parseInfotext(text: string): ParsedInfotext {
  const lines = pythonStrip(text).split('\n');
  const pairs = findPairs(lines.at(-1) ?? '');
  const hasParameters = pairs.length >= 3;
  const prompts: { positive: string[]; negative: string[] } = { positive: [], negative: [] };
  let current = prompts.positive;
  for (const raw of hasParameters ? lines.slice(0, -1) : lines) {
    const line = pythonStrip(raw);
    const switches = line.startsWith(NEGATIVE);
    if (switches) current = prompts.negative;
    const content = switches ? pythonStrip(line.slice(NEGATIVE.length)) : line;
    // Empty lines at the start of either vanish.
    if (current.length > 0 || content !== '') current.push(content);
  }
  const parameters = new Map<string, string>();
  for (const [key, raw] of hasParameters ? pairs : []) {
    if (raw === '') continue;
    const value = raw.startsWith('"') && raw.endsWith('"') ? unquote(raw) : raw;
    const size = /^(\d+)x(\d+)$/.exec(value);
    if (size === null) parameters.set(key, value);
    else parameters.set(`${key}-1`, size[1] ?? '').set(`${key}-2`, size[2] ?? '');
  }
  return { prompt: prompts.positive.join('\n'), negativePrompt: prompts.negative.join('\n'), parameters };
}

/**
 * All "key: value" pairs of a line, left to right. A key is a word character and at least one more word character,
 * space, "-" or "/"; a value is a JSON string or all up to the next comma. Written out, because as one pattern it takes
 * quadratic time on a long line without a colon.
 */
function findPairs(line: string): [string, string][] {
  const pairs: [string, string][] = [];
  let from = 0;
  for (let colon = line.indexOf(':'); colon >= 0; colon = line.indexOf(':', colon + 1)) {
    if (colon < from) continue;
    const start = keyStart(line, from, colon);
    if (colon - start < 2) {
      from = colon + 1;
      continue;
    }
    let begin = colon + 1;
    while (begin < line.length && isPythonSpace(line.charAt(begin))) begin += 1;
    const comma = line.indexOf(',', begin);
    const end = quotedEnd(line, begin) ?? (comma < 0 ? line.length : comma);
    pairs.push([line.slice(start, colon), line.slice(begin, end)]);
    from = end + 1;
  }
  return pairs;
}

/** Where the key that ends at `colon` begins: at the first word character of the run of key characters before it. */
function keyStart(line: string, from: number, colon: number): number {
  let start = colon;
  let firstWord = colon;
  while (start > from && /[\p{L}\p{N}_ /-]/u.test(line.charAt(start - 1))) {
    start -= 1;
    if (/[\p{L}\p{N}_]/u.test(line.charAt(start))) firstWord = start;
  }
  return firstWord;
}

/** The index after a JSON string that starts at `begin` and ends a value; undefined where there is none. */
function quotedEnd(line: string, begin: number): number | undefined {
  if (line[begin] !== '"') return undefined;
  for (let i = begin + 1; i < line.length; i += 1) {
    if (line[i] === '\\') i += 1;
    else if (line[i] === '"') {
      const ends = i > begin + 1 && (i + 1 === line.length || line[i + 1] === ',');
      return ends ? i + 1 : undefined;
    }
  }
  return undefined;
}
