import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CLIP_MERGES_PATH, makeClipVocabulary, selectMerges } from '../../../scripts/make-clip-vocabulary.mjs';
import { toChunks } from '../../../src/prompt/chunks.js';
import { ClipTokenizer } from '../../../src/prompt/tokenizer.js';
import { FailureError } from '../../../src/request/errors.js';

let tokenizer: ClipTokenizer;
const folder = mkdtempSync(join(tmpdir(), 'sdgen-vocabulary-'));

beforeAll(async () => {
  await makeClipVocabulary();
  tokenizer = ClipTokenizer.load();
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('ClipTokenizer', () => {
  it('knows its special tokens and the comma', () => {
    expect([tokenizer.bos, tokenizer.eos, tokenizer.size, tokenizer.comma]).toEqual([49406, 49407, 49408, 267]);
    expect(tokenizer.encode('<|startoftext|>hi<|ENDOFTEXT|>')).toEqual([49406, 1883, 49407]);
  });

  it('strips and collapses what Python takes for white space, and U+FEFF is none', () => {
    const plain = tokenizer.encode('a cat');
    expect(tokenizer.encode('\u001f a\u0085\u00a0\u2003cat\n\u001c')).toEqual(plain);
    expect(tokenizer.encode('a\ufeffcat')).not.toEqual(plain);
    expect(tokenizer.encode('a\u001fcat')).not.toEqual(plain);
    expect(tokenizer.encode(' \t\n\u3000')).toEqual([]);
  });

  it('treats the long s like an s after an apostrophe, and U+0345 as no letter', () => {
    expect(tokenizer.encode("cat'ſ").length).toBe(tokenizer.encode('cat').length + tokenizer.encode("'ſ").length);
    expect(tokenizer.decode(tokenizer.encode('a\u0345b'))).toBe('a \u0345 b ');
  });

  it('decodes what it encodes, up to white space', () => {
    const letters = fc.string({ unit: fc.constantFrom(...'abz09 éßя東😀,.!\'"'), maxLength: 40 });
    fc.assert(
      fc.property(letters, (text) => {
        const ids = tokenizer.encode(text);
        expect(ids.every((id) => id >= 0 && id < tokenizer.size)).toBe(true);
        expect(tokenizer.decode(ids).replace(/\s/gu, '')).toBe(text.replace(/\s/gu, ''));
      }),
    );
  });

  it('takes any string, lone surrogates too', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(0xffff), { maxLength: 60 }), (units) => {
        const ids = tokenizer.encode(String.fromCharCode(...units));
        expect(ids.every((id) => Number.isInteger(id) && id >= 0 && id < tokenizer.size)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it('shows a token as text', () => {
    expect(tokenizer.tokenText(320)).toBe('a ');
    expect(tokenizer.tokenText(49407)).toBe('<|endoftext|>');
    expect(tokenizer.tokenText(127)).toBe('\ufffd');
    expect(() => tokenizer.tokenText(49408)).toThrow(RangeError);
    expect(() => tokenizer.tokenText(-1)).toThrow(RangeError);
  });

  it('needs time in proportion to the length of one long word', () => {
    const letters = 'etaoinshrdlucmfwypvbgkqjxz';
    const word = Array.from({ length: 200_000 }, (_, i) => letters[(i * i + i * 7) % 26]).join('');
    const started = performance.now();
    const ids = tokenizer.encode(word);
    expect(ids.length).toBeGreaterThan(10_000);
    // Quadratic work takes minutes.
    expect(performance.now() - started).toBeLessThan(10_000);
    expect(() => toChunks(word, tokenizer)).toThrow(/tokens in \d+ chunks of 75/);
    expect(() => toChunks('word '.repeat(10_000), tokenizer)).toThrow(/has 10000 tokens in 134 chunks/);
  });

  it('says what to do when the vocabulary is missing or damaged', () => {
    const file = join(folder, 'damaged.txt');
    expect(() => ClipTokenizer.load(join(folder, 'none.txt'))).toThrow(/cannot read .*none\.txt; make it with/);
    expect(() => ClipTokenizer.load(new URL('file:///no/such/file'))).toThrow(FailureError);
    writeFileSync(file, 'a b\n');
    expect(() => ClipTokenizer.load(file)).toThrow(/damaged \(1 merges instead of 48894\)/);
    const merges = readFileSync(CLIP_MERGES_PATH, 'utf8').split('\n');
    writeFileSync(file, ['x', ...merges.slice(1)].join('\n'));
    expect(() => ClipTokenizer.load(file)).toThrow(FailureError);
  });

  it('gives a word the same ids however often and whatever else it met', () => {
    const [used, fresh] = [ClipTokenizer.load(), ClipTokenizer.load()];
    const text = `a red fox, ${'x'.repeat(70)} fox <|endoftext|>`;
    const ids = used.encode(text);
    expect(used.encode(text)).toEqual(ids);
    ids.fill(0); // is the caller's own
    expect(used.encode(text)).toEqual(fresh.encode(text));
    const words = Array.from(
      { length: 10_000 },
      (_, i) => i.toString(36).replace(/[0-9]/g, 'q') + 'abcdefghij'[i % 10],
    );
    for (const word of words) used.encode(word);
    expect(used.encode(words.join(' '))).toEqual(ClipTokenizer.load().encode(words.join(' ')));
    expect(used.encode(text)).toEqual(fresh.encode(text));
  });
});

describe('makeClipVocabulary', () => {
  it('writes the merges once and then leaves them', async () => {
    const target = join(folder, 'deep', 'merges.txt');
    expect(await makeClipVocabulary({ target })).toEqual({ path: target, written: true });
    expect(await makeClipVocabulary({ target })).toEqual({ path: target, written: false });
    writeFileSync(target, 'old');
    expect(await makeClipVocabulary({ target })).toEqual({ path: target, written: true });
    const lines = readFileSync(target, 'utf8').split('\n');
    expect([lines.length, lines[0], lines.at(-2), lines.at(-1)]).toEqual([48_895, 'i n', 'jeky ll</w>', '']);
  });

  it('takes the lines after the header and no more', () => {
    const lines = ['header', ...Array.from({ length: 48_900 }, (_, i) => `a ${i}`)];
    expect(selectMerges(lines.join('\n')).split('\n').slice(-2)).toEqual(['a 48893', '']);
  });
});
