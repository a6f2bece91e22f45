/** A longer comment is no picture's parameters. */
const MAX_BYTES = 1 << 20;

const EXTENSION = 0x21;
const IMAGE = 0x2c;
const COMMENT = 0xfe;

/** Where the colour table that `flags` announce ends, when it begins at `at`. */
const afterColours = (flags: number, at: number): number => at + (flags & 0x80 ? 3 * 2 ** ((flags & 7) + 1) : 0);

/**
 * The first comment of a GIF's bytes (GIF89a, 24), in which other programs keep a picture's parameters as UTF-8;
 * undefined where there is none or the file is damaged before it. Reads nothing outside the bytes, in linear time.
 */
export function readGifComment(gif: Uint8Array): string | undefined {
  const bytes = Buffer.from(gif.buffer, gif.byteOffset, gif.byteLength);
  if (!/^GIF8[79]a$/.test(bytes.toString('latin1', 0, 6))) return undefined;
  let at = afterColours(bytes[10] ?? 0, 13);
  for (;;) {
    const kind = bytes[at];
    if (kind === EXTENSION) {
      const { data, end } = readBlocks(bytes, at + 2, bytes[at + 1] === COMMENT);
      if (data !== undefined) return data.toString('utf8');
      at = end;
    } else if (kind === IMAGE) {
      at = readBlocks(bytes, afterColours(bytes[at + 9] ?? 0, at + 10) + 1, false).end;
    } else {
      return undefined; // the trailer, the end of the bytes, or damage
    }
  }
}

/** A row of blocks of up to 255 bytes that ends with an empty one; `end` is the index after it. */
function readBlocks(bytes: Buffer, start: number, keep: boolean): { data: Buffer | undefined; end: number } {
  const parts: Buffer[] = [];
  let at = start;
  let total = 0;
  for (let size = bytes[at]; size !== undefined && size !== 0; size = bytes[at]) {
    total += size;
    if (keep && total <= MAX_BYTES) parts.push(bytes.subarray(at + 1, at + 1 + size));
    at += 1 + size;
  }
  return { data: keep ? Buffer.concat(parts) : undefined, end: at + 1 };
}
