/** A possible merge of the symbol at `index` with its right neighbour, as it stood when it was found. */
interface Candidate {
  readonly rank: number;
  readonly index: number;
  readonly pair: string;
}

/**
 * Byte-pair encoding of one word: the pair of lowest rank, leftmost first, is merged until none is left. Same result as
 * the textbook loop over all pairs, because a merge only makes pairs of higher rank; but n log n instead of n², so that
 * a word of a million letters is no trap.
 */
export function mergeSymbols(symbols: readonly string[], ranks: ReadonlyMap<string, number>): string[] {
  const text: (string | undefined)[] = [...symbols];
  const next = Int32Array.from(symbols, (_, i) => i + 1);
  const previous = Int32Array.from(symbols, (_, i) => i - 1);
  const heap: Candidate[] = [];
  const consider = (index: number): void => {
    const right = next[index];
    const pair = right === undefined ? undefined : `${text[index]} ${text[right]}`;
    const rank = pair === undefined ? undefined : ranks.get(pair);
    if (pair !== undefined && rank !== undefined) push(heap, { rank, index, pair });
  };
  for (let i = 0; i + 1 < symbols.length; i += 1) consider(i);
  for (let best = pop(heap); best !== undefined; best = pop(heap)) {
    const { index, pair } = best;
    const right = next[index] ?? symbols.length;
    // Stale: one of the two was merged into something else since.
    if (text[index] === undefined || text[right] === undefined || `${text[index]} ${text[right]}` !== pair) continue;
    text[index] = pair.replace(' ', '');
    text[right] = undefined;
    const after = next[right] ?? symbols.length;
    next[index] = after;
    if (after < symbols.length) previous[after] = index;
    consider(index);
    const before = previous[index] ?? -1;
    if (before >= 0) consider(before);
  }
  return text.filter((symbol) => symbol !== undefined);
}

function isBefore(a: Candidate | undefined, b: Candidate | undefined): boolean {
  if (a === undefined || b === undefined) return false;
  return a.rank < b.rank || (a.rank === b.rank && a.index < b.index);
}

function swap(heap: Candidate[], a: number, b: number): void {
  const first = heap[a];
  const second = heap[b];
  if (first === undefined || second === undefined) return;
  heap[a] = second;
  heap[b] = first;
}

function push(heap: Candidate[], candidate: Candidate): void {
  heap.push(candidate);
  let child = heap.length - 1;
  while (child > 0) {
    const parent = (child - 1) >> 1;
    if (!isBefore(heap[child], heap[parent])) return;
    swap(heap, child, parent);
    child = parent;
  }
}

function pop(heap: Candidate[]): Candidate | undefined {
  swap(heap, 0, heap.length - 1);
  const best = heap.pop();
  let parent = 0;
  for (;;) {
    const left = 2 * parent + 1;
    const smaller = isBefore(heap[left + 1], heap[left]) ? left + 1 : left;
    if (!isBefore(heap[smaller], heap[parent])) return best;
    swap(heap, parent, smaller);
    parent = smaller;
  }
}
