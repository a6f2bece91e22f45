import type { DecodedImage } from '../native/types.js';
import { UsageError } from '../request/errors.js';

export interface GridOptions {
  /** Rows: a number, "auto" (round of the square root), or "full" (the most nearly square grid without empty cells). */
  readonly rows: number | 'auto' | 'full';
}

export interface GridLayout {
  readonly rows: number;
  readonly columns: number;
}

/** A grid is one picture in memory: 3 bytes a pixel. */
export const MAX_GRID_PIXELS = 268_402_689;

/** Rows and columns for `count` pictures; never more rows than pictures. */
export function gridLayout(count: number, rows: GridOptions['rows']): GridLayout {
  if (!Number.isInteger(count) || count < 1) throw new RangeError(`a grid of ${count} pictures`);
  const wanted = rows === 'auto' ? Math.round(Math.sqrt(count)) : rows === 'full' ? largestDivisor(count) : rows;
  if (!Number.isInteger(wanted) || wanted < 1) throw new RangeError(`a grid of ${wanted} rows`);
  const used = Math.min(wanted, count);
  return { rows: used, columns: Math.ceil(count / used) };
}

/** The largest divisor up to the square root. */
function largestDivisor(count: number): number {
  let divisor = Math.floor(Math.sqrt(count));
  while (count % divisor !== 0) divisor -= 1;
  return divisor;
}

/**
 * All pictures on one white sheet, row by row; a cell is as large as the largest picture, each is centred in its own.
 * @throws UsageError when the sheet would have more than MAX_GRID_PIXELS pixels.
 */
export function makeGrid(images: readonly DecodedImage[], options: GridOptions = { rows: 'auto' }): DecodedImage {
  const { rows, columns } = gridLayout(images.length, options.rows);
  for (const { data, width, height } of images) {
    if (data.length !== width * height * 3) {
      throw new RangeError(`${data.length} bytes of RGB for ${width} x ${height} pixels`);
    }
  }
  const cellWidth = images.reduce((most, image) => Math.max(most, image.width), 0);
  const cellHeight = images.reduce((most, image) => Math.max(most, image.height), 0);
  const width = columns * cellWidth;
  const height = rows * cellHeight;
  if (width * height > MAX_GRID_PIXELS) {
    throw new UsageError(
      `the grid would have ${width} x ${height} pixels, more than ${MAX_GRID_PIXELS}; make fewer or smaller pictures`,
      'grid',
    );
  }
  const sheet = new Uint8Array(width * height * 3).fill(255);
  for (const [index, image] of images.entries()) {
    const left = (index % columns) * cellWidth + Math.floor((cellWidth - image.width) / 2);
    const top = Math.floor(index / columns) * cellHeight + Math.floor((cellHeight - image.height) / 2);
    for (let y = 0; y < image.height; y += 1) {
      const row = image.data.subarray(y * image.width * 3, (y + 1) * image.width * 3);
      sheet.set(row, ((top + y) * width + left) * 3);
    }
  }
  return { data: sheet, width, height };
}
