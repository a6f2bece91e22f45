import { describe, expect, it } from 'vitest';
import { unescapeHtml } from '../../../src/prompt/html-entities.js';

/** Expected values: Python's html.unescape. */
describe('HTML entities', () => {
  it.each([
    ['', ''],
    ['a & b', 'a & b'],
    ['&amp;', '&'],
    ['&ampx &amp &AMP;', '&x & &'],
    ['&lt;b&gt; &quot;q&quot; &apos;s', '<b> "q" \'s'],
    ['&eacute;&Eacute;&szlig', 'éÉß'],
    ['&frac12;&frac1;&notit;', '½&frac1;¬it;'],
    ['&#39;&#x27;&#X27&#8364;', "'''€"],
    ['&#0;&#xD800;&#x110000;', '\ufffd\ufffd\ufffd'],
    ['&#;&#x;&;&unknown;', '&#;&#x;&;&unknown;'],
    ['&apos', '&apos'],
    ['&amp;amp;', '&amp;'],
  ])('%s', (text, plain) => {
    expect(unescapeHtml(text)).toBe(plain);
  });
});
