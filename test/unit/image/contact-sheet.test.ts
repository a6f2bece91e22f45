import { describe, expect, it } from 'vitest';
import { makeContactSheet } from '../../../src/image/contact-sheet.js';
import { drawText, GLYPH, wrapText } from '../../../src/image/pixel-font.js';

function blank(width: number, height: number) {
  return { data: new Uint8Array(3 * width * height).fill(255), width, height };
}

/** As text, a dot for white and a hash for black. */
function shown({ data, width, height }: ReturnType<typeof blank>): string[] {
  return Array.from({ length: height }, (_, y) =>
    Array.from({ length: width }, (_, x) => (data[3 * (y * width + x)] === 0 ? '#' : '.')).join(''),
  );
}

describe('drawText', () => {
  it('writes letters, and a box for what it has no letter for', () => {
    const image = blank(2 * GLYPH.width, GLYPH.height);
    drawText(image, 'L狐', 0, 0, 1);
    expect(shown(image)).toEqual([
      '#.....#####.',
      '#.....#...#.',
      '#.....#...#.',
      '#.....#...#.',
      '#.....#...#.',
      '#.....#...#.',
      '#####.#####.',
      '............',
    ]);
  });

  it('makes each pixel as large as it is told, where it is told', () => {
    const image = blank(14, 16);
    drawText(image, '-', 2, 0, 2);
    const rows = shown(image);
    expect(rows[6]).toBe('..##########..');
    expect(rows[7]).toBe(rows[6]);
    expect(rows.filter((row) => row.includes('#'))).toHaveLength(2);
  });

  it('has a letter of its own for each of ASCII', () => {
    const letters = Array.from({ length: 95 }, (_, i) => {
      const image = blank(GLYPH.width, GLYPH.height);
      drawText(image, String.fromCharCode(0x20 + i), 0, 0, 1);
      return shown(image).join('\n');
    });
    expect(new Set(letters).size).toBe(95);
  });
});

describe('wrapText', () => {
  it.each([
    ['', 5, 2, []],
    ['one two', 7, 2, ['one two']],
    ['one two', 5, 2, ['one', 'two']],
    ['abcdefghij', 4, 3, ['abcd', 'efgh', 'ij']],
    ['abcdefghij', 4, 2, ['abcd', 'e...']],
    ['a fox in the snow', 9, 1, ['a fox...']],
    ['ab', 1, 1, ['.']],
  ])('breaks %j into lines of %i, at most %i', (text, columns, rows, lines) => {
    expect(wrapText(text, columns, rows)).toEqual(lines);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(columns);
  });
});

describe('makeContactSheet', () => {
  const red = { data: new Uint8Array(3 * 4).fill(7), width: 2, height: 2 };
  const sheet = { title: '', columnLabels: ['', ''], rowLabels: [''], cells: [[red, undefined]] };

  it('puts pictures side by side and leaves grey what is missing', () => {
    const { data, width, height } = makeContactSheet(sheet);
    expect([width, height]).toEqual([4 + 2 * 6, 4 + 6]);
    const at = (x: number, y: number) => data[3 * (y * width + x)];
    expect([at(4, 4), at(5, 5), at(6, 4), at(10, 4), at(11, 5), at(12, 5)]).toEqual([7, 7, 255, 225, 225, 255]);
  });

  it('centres a smaller picture in its cell', () => {
    const small = { data: new Uint8Array(3), width: 1, height: 1 };
    const large = { data: new Uint8Array(3 * 9).fill(9), width: 3, height: 3 };
    const { data, width } = makeContactSheet({ ...sheet, cells: [[large, small]] });
    expect(data[3 * (5 * width + 4 + 7 + 1)]).toBe(0);
  });

  it('refuses what has no picture or too many pixels', () => {
    expect(() => makeContactSheet({ ...sheet, cells: [[undefined]] })).toThrow(RangeError);
    const wide = Array.from({ length: 100_000 }, () => '');
    const many = { title: '', columnLabels: wide, rowLabels: wide.slice(0, 600), cells: [[red]] };
    expect(() => makeContactSheet(many)).toThrow(/the sheet would have 600004 x 3604 pixels/);
  });
});
