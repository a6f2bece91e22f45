import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../image/atomic-write.js';
import { decodeRgb, encodePng } from '../image/codec.js';
import { makeContactSheet } from '../image/contact-sheet.js';
import { MAX_GRID_PIXELS } from '../image/grid.js';
import type { DecodedImage } from '../native/types.js';
import { FailureError } from '../request/errors.js';
import { hashOf, isIntact } from './item-sink.js';
import type { BatchItem, Origin } from './items.js';
import type { Journal } from './journal.js';

type Place = Origin['axes'][number];

/** The pictures of one line over its x and y, with everything else alike. */
interface Sheet {
  /** Place in its line of the first picture: items end in any order, sheets are numbered in that of the file. */
  order: readonly [line: number, index: number];
  readonly title: string;
  /** By row and column: the picture's file. */
  readonly cells: (string | undefined)[][];
  readonly columnLabels: string[];
  readonly rowLabels: string[];
}

/** What of a place says which sheet it is on: all axes but x and y, and which of `count`. */
function keyOf({ line, repeat }: Origin, others: readonly Place[]): string {
  return [line, repeat, ...others.map(({ index }) => index)].join('/');
}

function titleOf({ repeat }: Origin, others: readonly Place[], repeats: number): string {
  const labels = others.map(({ label }) => label);
  return [...labels, ...(repeats > 1 ? [`picture ${repeat} of ${repeats}`] : [])].join(', ');
}

/** Gathers what a batch makes over declared axes into contact sheets: a line's x from left to right, its y downwards. */
export class Sheets {
  readonly #sheets = new Map<string, Sheet>();

  /** @param file the item's first picture; undefined where it failed */
  add({ origin, line, index }: BatchItem, file: string | undefined): void {
    const on = (name: string): Place | undefined => origin.axes.find(({ axis }) => axis === name);
    const [x, y] = [on('x'), on('y')];
    if (x === undefined && y === undefined) return;
    const others = origin.axes.filter((place) => place !== x && place !== y);
    const key = keyOf(origin, others);
    const order = [origin.line, index] as const;
    const title = titleOf(origin, others, line.repeats);
    const sheet = this.#sheets.get(key) ?? { order, title, cells: [], columnLabels: [], rowLabels: [] };
    this.#sheets.set(key, sheet);
    if (index < sheet.order[1]) sheet.order = order;
    const [column, row] = [x?.index ?? 0, y?.index ?? 0];
    sheet.columnLabels[column] = x?.label ?? '';
    sheet.rowLabels[row] = y?.label ?? '';
    const cells = sheet.cells[row] ?? [];
    cells[column] = file;
    sheet.cells[row] = cells;
  }

  /**
   * Writes `sheet-0001.png` and so on into the folder, never over another file, and notes each in the journal. One that a
   * run before this one wrote of the same pictures stays.
   * @returns the names of those that are new
   * @throws FailureError E_IO; UsageError for a sheet of too many pixels
   */
  async write(folder: string, journal: Journal, at: () => string): Promise<string[]> {
    const written: string[] = [];
    const sheets = [...this.#sheets.values()].sort((a, b) => a.order[0] - b.order[0] || a.order[1] - b.order[1]);
    for (const [index, sheet] of sheets.entries()) {
      if (!sheet.cells.flat().some((file) => file !== undefined)) continue;
      const { data, width, height } = await draw(folder, sheet);
      const file = await encodePng(data, width, height);
      const known = journal.state.sheets.get(index);
      const sha256 = hashOf(file);
      if (known?.sha256 === sha256 && (await isIntact(folder, known))) continue;
      const name = await writeUnderFreeName(folder, index + 1, file, journal.state.id);
      await journal.append({ type: 'sheet', number: index, file: { name, sha256 }, at: at() });
      written.push(name);
    }
    return written;
  }
}

async function draw(folder: string, { title, cells, columnLabels, rowLabels }: Sheet): Promise<DecodedImage> {
  const read = async (file: string | undefined): Promise<DecodedImage | undefined> =>
    file === undefined ? undefined : decodeRgb(await readFile(join(folder, file)), MAX_GRID_PIXELS);
  const rows: (DecodedImage | undefined)[][] = [];
  for (const row of rowLabels.keys()) {
    rows.push(await Promise.all(columnLabels.map((_, column) => read(cells[row]?.[column]))));
  }
  // A value whose every picture failed before it had a label leaves a gap.
  const filled = (labels: readonly string[]): string[] => Array.from(labels, (label) => label ?? '');
  return makeContactSheet({ title, columnLabels: filled(columnLabels), rowLabels: filled(rowLabels), cells: rows });
}

/** Under the first number from `number` on whose name nobody has. */
async function writeUnderFreeName(folder: string, number: number, file: Uint8Array, mark?: string): Promise<string> {
  for (let next = number; ; next += 1) {
    const name = `sheet-${String(next).padStart(4, '0')}.png`;
    try {
      await writeFileAtomic(join(folder, name), file, { force: false, mark });
      return name;
    } catch (error) {
      if (!(error instanceof FailureError) || error.code !== 'E_EXISTS') throw error;
    }
  }
}
