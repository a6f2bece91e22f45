import type { DecodedImage } from '../native/types.js';

/** Letters of 5×7 pixels, each with a free column and row after it: labels look alike on machines without any font. */
export const GLYPH = { width: 6, height: 8 } as const;

/** U+0020 … U+007E; of each the five columns from the left, the lowest bit on top. */
const COLUMNS =
  '0000000000 00005f0000 0007000700 147f147f14 242a7f2a12 2313086462 3649552250 0005030000 001c224100 0041221c00 ' +
  '14083e0814 08083e0808 0050300000 0808080808 0060600000 2010080402 3e5149453e 00427f4000 4261514946 2141454b31 ' +
  '1814127f10 2745454539 3c4a494930 0171090503 3649494936 064949291e 0036360000 0056360000 0814224100 1414141414 ' +
  '0041221408 0201510906 324979413e 7e1111117e 7f49494936 3e41414122 7f4141221c 7f49494941 7f09090901 3e4149497a ' +
  '7f0808087f 00417f4100 2040413f01 7f08142241 7f40404040 7f020c027f 7f0408107f 3e4141413e 7f09090906 3e4151215e ' +
  '7f09192946 4649494931 01017f0101 3f4040403f 1f2040201f 3f4038403f 6314081463 0708700807 6151494543 007f414100 ' +
  '0204081020 0041417f00 0402010204 4040404040 0001020400 2054545478 7f48444438 3844444420 384444487f 3854545418 ' +
  '087e090102 0c5252523e 7f08040478 00447d4000 2040443d00 7f10284400 00417f4000 7c04180478 7c08040478 3844444438 ' +
  '7c14141408 081414187c 7c08040408 4854545420 043f444020 3c4040207c 1c2040201c 3c4030403c 4428102844 0c5050503c ' +
  '4464544c44 0008364100 00007f0000 0041360800 1008081008';
const GLYPHS = COLUMNS.split(' ').map((hex) => Buffer.from(hex, 'hex'));
/** Stands for any other character. */
const BOX = Buffer.from('7f4141417f', 'hex');

function glyphOf(character: string): Buffer {
  return GLYPHS[(character.codePointAt(0) ?? 0) - 0x20] ?? BOX;
}

/** Writes a line in black, its upper left corner at `left`, `top`, each pixel of a letter `scale`² pixels large. */
export function drawText(onto: DecodedImage, text: string, left: number, top: number, scale: number): void {
  const fill = (x: number, y: number): void => {
    for (let row = 0; row < scale; row += 1) {
      const at = ((top + y * scale + row) * onto.width + left + x * scale) * 3;
      onto.data.fill(0, at, at + 3 * scale);
    }
  };
  for (const [i, character] of [...text].entries()) {
    for (const [column, bits] of glyphOf(character).entries()) {
      for (let y = 0; y < 7; y += 1) if ((bits >> y) & 1) fill(i * GLYPH.width + column, y);
    }
  }
}

/**
 * A text in lines of at most `columns` characters, broken at spaces where it can be; what does not fit into `rows` of
 * them ends with three dots.
 */
export function wrapText(text: string, columns: number, rows: number): string[] {
  const lines: string[] = [];
  let rest = [...text.replaceAll(/\s+/g, ' ').trim()];
  while (rest.length > 0 && lines.length < rows) {
    const space = rest.slice(0, columns + 1).lastIndexOf(' ');
    const end = rest.length <= columns ? rest.length : space > 0 ? space : columns;
    lines.push(rest.slice(0, end).join(''));
    rest = rest.slice(end);
    while (rest[0] === ' ') rest.shift();
  }
  if (rest.length > 0) {
    const last = [...(lines.pop() ?? ''), ' ', ...rest].slice(0, Math.max(0, columns - 3)).join('');
    lines.push(`${last.trimEnd()}${'...'.slice(0, columns)}`);
  }
  return lines;
}
