/**
 * The rows of a CSV text (RFC 4180) as Python's csv module reads them with `skipinitialspace`: spaces before a field go,
 * a quote opens a quoted field only at its start, a doubled one inside is one quote, and what follows the closing quote
 * belongs to the field too. Empty lines are no rows. Never fails: a quote that is not closed runs to the end.
 */
export function parseCsv(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let at = 0;
  while (at < text.length) {
    if (row.length === 0 && isLineEnd(text[at])) {
      at += 1;
      continue;
    }
    const field = readField(text, at);
    row.push(field.value);
    at = field.end;
    if (text[at] === ',') {
      at += 1;
      if (at < text.length && !isLineEnd(text[at])) continue;
      row.push(''); // a comma is followed by a field
    }
    rows.push(row);
    row = [];
  }
  return rows;
}

function isLineEnd(character: string | undefined): boolean {
  return character === '\n' || character === '\r';
}

/** The field that begins at `start`, and the index of the comma or line end after it. */
function readField(text: string, start: number): { value: string; end: number } {
  let at = start;
  while (text[at] === ' ') at += 1;
  let value = '';
  if (text[at] === '"') {
    for (at += 1; at < text.length; at += 1) {
      const quote = text.indexOf('"', at);
      const close = quote < 0 ? text.length : quote;
      value += text.slice(at, close);
      at = close + 1;
      if (text[at] !== '"') break;
      value += '"';
    }
  }
  let end = at;
  while (end < text.length && text[end] !== ',' && !isLineEnd(text[end])) end += 1;
  return { value: value + text.slice(at, end), end };
}
