import type { DecodedImage } from '../native/types.js';
import { UsageError } from '../request/errors.js';
import { MAX_GRID_PIXELS } from './grid.js';
import { drawText, GLYPH, wrapText } from './pixel-font.js';

/** Pictures in rows and columns with what each row and column stands for. */
export interface ContactSheet {
  /** Above all; empty: none. */
  readonly title: string;
  readonly columnLabels: readonly string[];
  readonly rowLabels: readonly string[];
  /** By row and column; undefined: there is no picture. */
  readonly cells: readonly (readonly (DecodedImage | undefined)[])[];
}

/** Pixels between cells and around labels, at a scale of 1. */
const GAP = 4;
const LABEL_ROWS = 3;
/** Widest a row's label gets, in characters. */
const LABEL_COLUMNS = 20;
const EMPTY = 225;
/** Letters grow with the pictures: one more pixel for so many. */
const PIXELS_A_SCALE = 192;

interface Layout {
  readonly scale: number;
  readonly cell: { readonly width: number; readonly height: number };
  /** Lines of each. */
  readonly title: readonly string[];
  readonly columns: readonly (readonly string[])[];
  readonly rows: readonly (readonly string[])[];
  readonly left: number;
  readonly top: number;
  readonly headings: number;
  readonly width: number;
  readonly height: number;
}

const most = (values: readonly number[]): number => values.reduce((a, b) => Math.max(a, b), 0);

function layoutOf({ title, columnLabels, rowLabels, cells }: ContactSheet): Layout {
  const pictures = cells.flat().filter((cell) => cell !== undefined);
  const cell = { width: most(pictures.map(({ width }) => width)), height: most(pictures.map(({ height }) => height)) };
  if (cell.width === 0) throw new RangeError('a sheet without a picture');
  const scale = Math.max(1, Math.round(cell.width / PIXELS_A_SCALE));
  const gap = GAP * scale;
  const fitting = Math.max(1, Math.floor((cell.width - gap) / (GLYPH.width * scale)));
  const columns = columnLabels.map((label) => wrapText(label, fitting, LABEL_ROWS));
  const rowsFitting = Math.max(1, Math.floor(cell.height / (GLYPH.height * scale)));
  const rows = rowLabels.map((label) => wrapText(label, LABEL_COLUMNS, Math.min(LABEL_ROWS, rowsFitting)));
  const longest = most(rows.flat().map((line) => line.length));
  const left = longest === 0 ? gap : 2 * gap + longest * GLYPH.width * scale;
  const width = left + columnLabels.length * (cell.width + gap);
  const across = Math.max(1, Math.floor((width - 2 * gap) / (GLYPH.width * scale)));
  const titleLines = wrapText(title, across, LABEL_ROWS);
  const blockOf = (lines: number): number => (lines === 0 ? 0 : gap + lines * GLYPH.height * scale);
  const headings = blockOf(titleLines.length);
  const top = headings + blockOf(most(columns.map((lines) => lines.length))) + gap;
  const height = top + rowLabels.length * (cell.height + gap);
  return { scale, cell, title: titleLines, columns, rows, left, top, headings, width, height };
}

function place(onto: DecodedImage, picture: DecodedImage, left: number, top: number): void {
  for (let y = 0; y < picture.height; y += 1) {
    const row = picture.data.subarray(y * picture.width * 3, (y + 1) * picture.width * 3);
    onto.data.set(row, ((top + y) * onto.width + left) * 3);
  }
}

function leaveEmpty(onto: DecodedImage, { width, height }: Layout['cell'], left: number, top: number): void {
  for (let y = 0; y < height; y += 1) {
    const at = ((top + y) * onto.width + left) * 3;
    onto.data.fill(EMPTY, at, at + 3 * width);
  }
}

/**
 * Draws a sheet in RGB8, on white; a cell is as large as the largest picture, a place without a picture is grey.
 * @throws UsageError when it would have more than MAX_GRID_PIXELS pixels
 */
export function makeContactSheet(sheet: ContactSheet): DecodedImage {
  const layout = layoutOf(sheet);
  const { scale, cell, left, top, width, height } = layout;
  if (width * height > MAX_GRID_PIXELS) {
    throw new UsageError(`the sheet would have ${width} x ${height} pixels, more than ${MAX_GRID_PIXELS}`);
  }
  const gap = GAP * scale;
  const line = GLYPH.height * scale;
  const image = { data: new Uint8Array(width * height * 3).fill(255), width, height };
  const write = (lines: readonly string[], x: number, y: number): void => {
    for (const [i, text] of lines.entries()) drawText(image, text, x, y + i * line, scale);
  };
  write(layout.title, gap, gap);
  for (const [i, lines] of layout.columns.entries()) write(lines, left + i * (cell.width + gap), layout.headings + gap);
  for (const [row, lines] of layout.rows.entries()) {
    const y = top + row * (cell.height + gap);
    write(lines, gap, y + Math.max(0, Math.floor((cell.height - lines.length * line) / 2)));
    for (const column of layout.columns.keys()) {
      const x = left + column * (cell.width + gap);
      const picture = sheet.cells[row]?.[column];
      if (picture === undefined) leaveEmpty(image, cell, x, y);
      else place(image, picture, x + ((cell.width - picture.width) >> 1), y + ((cell.height - picture.height) >> 1));
    }
  }
  return image;
}
