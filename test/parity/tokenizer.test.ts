import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { makeClipVocabulary } from '../../scripts/make-clip-vocabulary.mjs';
import { ClipTokenizer, OPEN_CLIP_TRAITS } from '../../src/prompt/tokenizer.js';

interface Fixture {
  readonly vocab_size: number;
  readonly start: number;
  readonly end: number;
  readonly cases: readonly { readonly text: string; readonly ids: readonly number[] }[];
}

const fixture = JSON.parse(readFileSync(new URL('../fixtures/clip_tokens.json', import.meta.url), 'utf8')) as Fixture;
const hasEntity = ({ text }: { text: string }): boolean => /&\w+;/.test(text);
let tokenizer: ClipTokenizer;

beforeAll(async () => {
  await makeClipVocabulary();
  tokenizer = ClipTokenizer.load();
});

describe("OpenAI's tokenizer", () => {
  it('has the same special tokens', () => {
    expect([tokenizer.size, tokenizer.bos, tokenizer.eos]).toEqual([fixture.vocab_size, fixture.start, fixture.end]);
  });

  const exact = fixture.cases.filter((entry) => !hasEntity(entry));
  it('is compared on all cases but the one with HTML entities', () => {
    expect([fixture.cases.length, exact.length]).toEqual([29, 28]);
  });

  it.each(exact)('gives the same ids: $text', ({ text, ids }) => {
    expect(tokenizer.encode(text)).toEqual(ids);
  });

  it('SD2 in one file unescapes HTML entities as OpenAI does', () => {
    const open = ClipTokenizer.load(undefined, OPEN_CLIP_TRAITS);
    for (const { text, ids } of fixture.cases) expect(open.encode(text)).toEqual(ids);
    expect(open.pad).toBe(0);
  });

  it("SD1's does not unescape HTML entities: each is its punctuation and its letters", () => {
    const [entry] = fixture.cases.filter(hasEntity);
    expect(entry?.text).toBe('&lt;b&gt; &amp;amp; tom &amp; jerry &eacute;');
    // "&" 261, ";" 282 as words of their own; b 321, tom 2435, jerry 9164, amp 6259 stand in other cases or alone.
    const [and, semicolon] = [tokenizer.encode('&'), tokenizer.encode(';')].flat();
    expect([and, semicolon]).toEqual([261, 282]);
    const words = ['&', 'lt', ';', 'b', '&', 'gt', ';', '&', 'amp', ';', 'amp', ';', 'tom', '&', 'amp', ';', 'jerry'];
    const expected = [...words, '&', 'eacute', ';'].flatMap((word) => tokenizer.encode(word));
    expect(tokenizer.encode(entry?.text ?? '')).toEqual(expected);
    expect(tokenizer.decode(expected)).toBe('& lt ; b & gt ; & amp ; amp ; tom & amp ; jerry & eacute ; ');
  });
});
