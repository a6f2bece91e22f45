import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { FailureError } from '../request/errors.js';
import { reasonOf } from './find.js';

const MAX_BYTES = 32 << 20;
const MAX_TOKENS = 1_000_000;

/** What a folder of diffusers says of its tokenizer. */
export interface TokenizerFiles {
  readonly ids: ReadonlyMap<string, number>;
  /** In order of rank, one "left right" a line. */
  readonly merges: string;
  /** The special tokens' texts; undefined where it does not say. */
  readonly bos: string | undefined;
  readonly eos: string | undefined;
  readonly pad: string | undefined;
}

const vocabularySchema = z.record(z.string(), z.number().int().min(0).max(MAX_TOKENS));
const tokenSchema = z.union([z.string(), z.object({ content: z.string() }).transform((token) => token.content)]);
const specialSchema = z.object({
  bos_token: tokenSchema.nullish(),
  eos_token: tokenSchema.nullish(),
  pad_token: tokenSchema.nullish(),
});

async function readText(path: string): Promise<string> {
  try {
    const file = await open(path, 'r');
    try {
      const info = await file.stat();
      if (!info.isFile()) throw new Error('it is not a file');
      if (info.size > MAX_BYTES) throw new Error(`it has ${info.size} bytes, more than the ${MAX_BYTES} allowed`);
      return await file.readFile('utf8');
    } finally {
      await file.close();
    }
  } catch (error) {
    throw new FailureError('E_IO', `cannot read the tokenizer's ${path}: ${reasonOf(error)}`, { cause: error });
  }
}

async function readJson<T>(path: string, schema: z.ZodType<T>): Promise<T> {
  const text = await readText(path);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new FailureError('E_MODEL_FORMAT', `the tokenizer's ${path} is not the JSON it should be; download it again`);
}

/**
 * Reads vocab.json, merges.txt and the special tokens of a model's tokenizer folder.
 * @throws FailureError E_IO, E_MODEL_FORMAT
 */
export async function readTokenizerFiles(folder: string): Promise<TokenizerFiles> {
  const vocabulary = await readJson(join(folder, 'vocab.json'), vocabularySchema);
  const merges = await readText(join(folder, 'merges.txt'));
  const special: z.output<typeof specialSchema>[] = [];
  for (const name of ['special_tokens_map.json', 'tokenizer_config.json']) {
    const path = join(folder, name);
    const found = await readJson(path, specialSchema).catch((error: unknown) => {
      const isAbsent = error instanceof FailureError && Reflect.get(error.cause ?? {}, 'code') === 'ENOENT';
      if (isAbsent) return {};
      throw error;
    });
    special.push(found);
  }
  const first = (key: 'bos_token' | 'eos_token' | 'pad_token') =>
    special.map((map) => map[key]).find(Boolean) ?? undefined;
  return {
    ids: new Map(Object.entries(vocabulary)),
    merges,
    bos: first('bos_token'),
    eos: first('eos_token'),
    pad: first('pad_token'),
  };
}
