/**
 * The fuzz targets in TypeScript, over the compiled modules in dist/. A target takes any bytes and gives a word or two
 * for what came of them, so that the driver knows new behaviour when it sees it; it throws for what must not happen.
 */
import { mendPng } from './changes.mjs';

const dist = (/** @type {string} */ path) => import(new URL(`../../dist/${path}`, import.meta.url).href);

/** @param {boolean} condition @param {string} what */
function require(condition, what) {
  if (!condition) throw new Error(`broken promise: ${what}`);
}

/** An error's first words without its numbers: one of a kind. @param {Error} error */
const kindOf = (error) => `${error.name} ${error.message.replace(/"[^"]*"|[\d]+/g, '').slice(0, 60)}`;

/**
 * @typedef {{ words: readonly string[], mend?: (input: Buffer) => Buffer,
 *   load: () => Promise<(input: Buffer) => string> }} Target
 */

/** @type {Target} */
const png = {
  words: [
    ...['IHDR', 'IDAT', 'IEND', 'tEXt', 'zTXt', 'iTXt', 'eXIf', 'parameters\0', 'Software\0NovelAI', 'Description\0'],
    ...['Comment\0{"uc":"x","sampler":"k_euler","steps":1,"scale":2,"seed":3}', 'Exif\0\0', 'MM\0*', 'II*\0'],
    ...[
      'UNICODE\0',
      'ASCII\0\0\0',
      'Steps: ',
      'Negative prompt:',
      ', Seed: 1',
      'Size: 8x8',
      'Version: 1.5.0',
      'VAE: a/b',
      '"',
    ],
    ...['\\', 'GIF89a', '\x21\xfe', '\x2c', '\x3b', '\0', '\0\0\0\0'],
  ],
  mend: mendPng,
  async load() {
    const { insertPngTexts, isPng, readPngExif, readPngHeader, readPngTexts } = await dist('image/png-metadata.js');
    const { readUserComment } = await dist('image/exif.js');
    const { readGifComment } = await dist('image/gif-comment.js');
    const { pictureParameters } = await dist('runtime/picture-parameters.js');
    const { takeOver } = await dist('cli/take-over.js');
    const { FailureError } = await dist('request/errors.js');
    /** @param {{ keyword: string, text: string }[]} texts */
    const judge = (texts) => {
      const parameters = pictureParameters({ format: 'png', width: 8, height: 8, texts });
      if (parameters === undefined) return 'silent';
      const { fields, model = '', vae = '', left } = takeOver(parameters);
      require(!/[/\\]/.test(model + vae), 'a picture chooses no path');
      return `${Object.keys(fields).join()} ${parameters.complete.size} ${left.length > 0}`;
    };
    return (input) => {
      const outside = [readUserComment(input), readGifComment(input), input.toString('utf8')];
      const told = outside.map((text) => (text === undefined ? '' : judge([{ keyword: 'parameters', text }])));
      if (!isPng(input)) return told.join(';');
      try {
        const { width, height } = readPngHeader(input);
        require(width > 0 && height > 0, 'a header has sides');
        const texts = readPngTexts(input);
        const exif = readPngExif(input);
        const added = insertPngTexts(input, [{ keyword: 'parameters', text: 'new ☃' }]);
        require(JSON.stringify(readPngTexts(added)) ===
          JSON.stringify([
            { keyword: 'parameters', text: 'new ☃' },
            ...texts,
          ]), 'a text that is inserted is read again, before the others');
        const comment = exif === undefined ? '' : readUserComment(exif);
        return `${texts.length} ${judge(texts)} ${comment === undefined} ${exif === undefined}`;
      } catch (error) {
        if (!(error instanceof FailureError) || error.code !== 'E_IMAGE_FORMAT') throw error;
        return kindOf(error);
      }
    };
  },
};

/** @type {Target} */
const prompt = {
  words: [
    ...[
      '(',
      ')',
      '[',
      ']',
      ':',
      '|',
      '\\',
      'BREAK',
      ' AND ',
      ':1.3)',
      ':0.5]',
      '[a:b:',
      '[a|b]',
      '<lora:x:1>',
      '#',
      '\n',
    ],
    ...[
      ',',
      ', ',
      'fox',
      '((((((((',
      ']]]]]]]]',
      '1e9',
      '-1',
      '.',
      '3.5',
      'é',
      '狐',
      '🦊',
      '\u200b',
      '\ufeff',
      '\u0345',
    ],
    ...["'s", '<|endoftext|>', '&amp;', '\0', '\ud83d', 'word '.repeat(80)],
  ],
  async load() {
    const { resolvePrompt } = await dist('prompt/conditioning.js');
    const { stripComments } = await dist('prompt/comments.js');
    const { refuseNetworks } = await dist('prompt/networks.js');
    const { ClipTokenizer } = await dist('prompt/tokenizer.js');
    const { UsageError } = await dist('request/errors.js');
    const { LIMITS } = await dist('request/limits.js');
    const tokenizer = ClipTokenizer.load();
    /** @param {{ weight: number, texts: { chunks: { tokens: number[], weights: number[] }[] }[],
     *   stages: { until: number, text: number }[] }[]} parts */
    const judge = (parts) => {
      for (const { weight, texts, stages } of parts) {
        require(Number.isFinite(weight), 'weights are numbers');
        require(stages.length > 0 && stages.every(({ text }) => text < texts.length), 'stages point at texts');
        require(stages.every(({ until }, i) => i === 0 || until > (stages[i - 1]?.until ?? 0)), 'stages ascend');
        for (const { chunks } of texts) {
          require(chunks.length > 0 && chunks.length <= LIMITS.promptChunks, 'chunks are bounded');
          for (const { tokens, weights } of chunks) {
            require(tokens.length === 77 && weights.length === 77, 'a chunk is one window');
            require(tokens.every((id) => id >= 0 && id < tokenizer.size), 'ids are in the vocabulary');
            require(weights.every((value) => Number.isFinite(Math.fround(value))), 'weights are float32 numbers');
          }
        }
      }
      return parts.map(({ texts, stages }) => `${Math.min(texts.length, 9)}/${Math.min(stages.length, 9)}`).join();
    };
    return (input) => {
      const text = input.toString('utf8');
      const outcomes = [];
      for (const [field, emphasis] of [
        ['prompt', 'Original'],
        ['negativePrompt', 'None'],
        ['prompt', 'Ignore'],
      ]) {
        try {
          refuseNetworks(text, field);
          const timing = { steps: 20, old: emphasis === 'Ignore' };
          const options = { tokenizer, positions: 77, commaBacktrack: 20, emphasis, timing };
          outcomes.push(judge(resolvePrompt(stripComments(text), field, options)));
        } catch (error) {
          if (!(error instanceof UsageError)) throw error;
          require(!error.message.includes('\n') && error.message.length < 1000, 'an error is one short line');
          outcomes.push(kindOf(error));
        }
      }
      return outcomes.join(';');
    };
  },
};

/** @type {Record<string, Target>} */
export const TARGETS = { png, prompt };
