/**
 * The named entities that browsers read without a semicolon too: those of Latin-1, here in the order of their characters
 * U+00A0 … U+00FF, and a few more. The other named entities of HTML 5 (some two thousand) do not occur in prompts.
 */
const LATIN1 =
  'nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 sup3 acute micro ' +
  'para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml Aring AElig Ccedil ' +
  'Egrave Eacute Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave ' +
  'Uacute Ucirc Uuml Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc euml ' +
  'igrave iacute icirc iuml eth ntilde ograve oacute ocirc otilde ouml divide oslash ugrave uacute ucirc uuml yacute ' +
  'thorn yuml';
const NAMED: ReadonlyMap<string, string> = new Map([
  ...LATIN1.split(' ').map((name, i): [string, string] => [name, String.fromCharCode(0xa0 + i)]),
  ...Object.entries({ amp: '&', AMP: '&', lt: '<', LT: '<', gt: '>', GT: '>', quot: '"', QUOT: '"' }),
  ...Object.entries({ COPY: '©', REG: '®' }),
]);
const LONGEST = Math.max(...[...NAMED.keys()].map((name) => name.length));

/** The character of a numeric reference, or nothing for what is none. */
function character(code: number): string {
  const isNone = code === 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff);
  return isNone ? '\ufffd' : String.fromCodePoint(code);
}

function entity(whole: string, body: string): string {
  const number = /^#(?:[xX]([0-9a-fA-F]+)|([0-9]+));?$/.exec(body);
  if (number !== null)
    return character(Number.parseInt(number[1] ?? number[2] ?? '', number[1] === undefined ? 10 : 16));
  if (body === 'apos;') return "'";
  const name = body.endsWith(';') ? body.slice(0, -1) : body;
  // The longest beginning that is a name: "&ampere" is "&" and "ere".
  for (let length = Math.min(name.length, LONGEST); length > 1; length -= 1) {
    const found = NAMED.get(name.slice(0, length));
    if (found !== undefined) return found + body.slice(length === name.length ? body.length : length);
  }
  return whole;
}

/** Numeric and named character references as Python's `html.unescape` reads them, once. */
export function unescapeHtml(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(/&(#(?:[0-9]+|[xX][0-9a-fA-F]+);?|[a-zA-Z][a-zA-Z0-9]{1,31};?)/g, entity);
}
