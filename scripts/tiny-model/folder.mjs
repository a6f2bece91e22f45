/** A folder of diffusers of random weights. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeClipVocabulary } from '../make-clip-vocabulary.mjs';
import { folderConfigs, folderTensors } from './diffusers.mjs';
import { encodeHeader, spacedJson, writeCheckpoint } from './file.mjs';
import { tensorsOf } from './layout.mjs';

const STEMS = { unet: 'diffusion_pytorch_model', vae: 'diffusion_pytorch_model', text_encoder: 'model' };

/**
 * CLIP's vocabulary as transformers keeps it: ids by token, and the merges in order of rank.
 * @param {string} merges one "left right" a line
 */
export function tokenizerFiles(merges) {
  const lines = merges.split('\n').filter((line) => line !== '');
  const isPrintable = (/** @type {number} */ byte) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  const bytes = Array.from({ length: 256 }, (_, byte) => byte);
  const others = bytes.filter((byte) => !isPrintable(byte)).length;
  const alphabet = [
    ...bytes.filter(isPrintable).map((byte) => String.fromCharCode(byte)),
    ...Array.from({ length: others }, (_, i) => String.fromCharCode(256 + i)),
  ];
  const tokens = [
    ...alphabet,
    ...alphabet.map((character) => `${character}</w>`),
    ...lines.map((line) => line.replace(' ', '')),
    '<|startoftext|>',
    '<|endoftext|>',
  ];
  return {
    'tokenizer/vocab.json': JSON.stringify(Object.fromEntries(tokens.map((token, id) => [token, id]))),
    'tokenizer/merges.txt': `#version: 0.2\n${lines.join('\n')}\n`,
  };
}

/** @param {string} path @param {string} text */
async function writeText(path, text) {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
}

/** Cuts a list into `count` parts of about equal length. @template T @param {T[]} list @param {number} count @returns {T[][]} */
function cut(list, count) {
  const each = Math.ceil(list.length / count);
  return Array.from({ length: count }, (_, i) => list.slice(i * each, (i + 1) * each)).filter(
    (part) => part.length > 0,
  );
}

/**
 * @param {{ path: string, arch: import('./layout.mjs').Arch, dtype?: 'F16' | 'F32', seed?: number, variant?: string,
 *   shards?: number, threads?: number, signal?: AbortSignal }} folder
 * @returns {Promise<{ tensors: number, bytes: number }>} of all weights
 */
export async function writeFolder({ path, arch, dtype = 'F16', seed = 7, variant, shards = 1, ...rest }) {
  const all = folderTensors(arch, tensorsOf(arch));
  let bytes = 0;
  for (const part of /** @type {const} */ (['unet', 'vae', 'text_encoder'])) {
    const tensors = all
      .filter((tensor) => tensor.part === part)
      .map(({ name, shape, source, firstRow }) => {
        const row = shape.slice(1).reduce((a, b) => a * b, 1);
        return {
          ...source,
          name,
          shape,
          elements: (shape[0] ?? 1) * row,
          draws: source.name,
          firstDraw: firstRow * row,
        };
      });
    const folder = join(path, part);
    await mkdir(folder, { recursive: true });
    const stem = `${STEMS[part]}${variant === undefined ? '' : `.${variant}`}`;
    const parts = cut(tensors, shards);
    const number = (/** @type {number} */ n) => String(n).padStart(5, '0');
    /** @type {Record<string, string>} */
    const map = {};
    for (const [i, some] of parts.entries()) {
      const name = `${stem}${parts.length === 1 ? '' : `-${number(i + 1)}-of-${number(parts.length)}`}.safetensors`;
      const header = encodeHeader(some, { format: 'pt' }, dtype);
      bytes += await writeCheckpoint({ path: join(folder, name), header, tensors: some, dtype, seed, ...rest });
      for (const tensor of some) map[tensor.name] = name;
    }
    if (parts.length > 1) {
      const index = `${STEMS[part]}.safetensors.index${variant === undefined ? '' : `.${variant}`}.json`;
      await writeText(join(folder, index), spacedJson({ metadata: { total_size: bytes }, weight_map: map }));
    }
  }
  const vocabulary = await makeClipVocabulary();
  const texts = {
    ...Object.fromEntries(
      Object.entries(folderConfigs(arch)).map(([name, value]) => [name, JSON.stringify(value, null, 2)]),
    ),
    ...tokenizerFiles(await readFile(vocabulary.path, 'utf8')),
  };
  for (const [name, text] of Object.entries(texts)) await writeText(join(path, name), text);
  return { tensors: all.length, bytes };
}
