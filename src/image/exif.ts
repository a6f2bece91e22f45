/**
 * The EXIF block in which JPEG, WebP and AVIF carry a picture's parameters: a big-endian TIFF of one IFD that points to
 * one Exif IFD with a UserComment of 8 bytes that name the encoding, then the text (Exif 2.32, 4.6.5), and its record in a
 * MakerNote.
 */

const EXIF_POINTER = 0x8769;
const MAKER_NOTE = 0x927c;
const USER_COMMENT = 0x9286;
const UNDEFINED = 7;
const LONG = 4;
const ENTRY_BYTES = 12;
/** After the byte order, the magic number and the place of this one. */
const FIRST_IFD = 8;

const UNICODE = Buffer.from('UNICODE\0', 'latin1');
const ASCII = Buffer.from('ASCII\0\0\0', 'latin1');
const UNNAMED = Buffer.alloc(8);
/** What tells our note from a camera's. */
const RECORD_PREFIX = Buffer.from('sdGn\0', 'latin1');
const JPEG_PREFIX = Buffer.from('Exif\0\0', 'latin1');

/** More entries than any camera writes; the rest is not looked at. */
const MAX_ENTRIES = 512;
/** A longer comment is no picture's parameters, a longer note no record. */
const MAX_FIELD_BYTES = 16 * 1024 * 1024;

/**
 * The block for `text`, in UTF-16BE: byte for byte what Python's piexif writes. With `record` the Exif IFD has a
 * MakerNote as well, which is the place for what only its maker reads.
 */
export function buildExif(text: string, record?: Uint8Array): Buffer {
  const comment = Buffer.concat([UNICODE, Buffer.from(text, 'utf16le').swap16()]);
  const note = record === undefined ? undefined : Buffer.concat([RECORD_PREFIX, record]);
  const inner = FIRST_IFD + ifdBytes(1);
  const start = inner + ifdBytes(note === undefined ? 1 : 2);
  const head = Buffer.alloc(start);
  head.write('MM\0*', 0, 'latin1');
  head.writeUInt32BE(FIRST_IFD, 4);
  writeIfd(head, FIRST_IFD, [[EXIF_POINTER, LONG, 1, inner]]);
  writeIfd(head, inner, [
    ...(note === undefined ? [] : [[MAKER_NOTE, UNDEFINED, note.length, start + comment.length] as const]),
    [USER_COMMENT, UNDEFINED, comment.length, start],
  ]);
  return Buffer.concat([head, comment, note ?? Buffer.alloc(0)]);
}

/** Bytes of the block besides the text, with a record of that many bytes. */
export function exifOverhead(recordBytes: number | undefined): number {
  const bare = FIRST_IFD + ifdBytes(1) + ifdBytes(1) + UNICODE.length;
  return recordBytes === undefined ? bare : bare + ENTRY_BYTES + RECORD_PREFIX.length + recordBytes;
}

type Entry = readonly [tag: number, type: number, count: number, value: number];

/** Of the count, the entries and the place of the next IFD. */
function ifdBytes(entries: number): number {
  return 2 + entries * ENTRY_BYTES + 4;
}

/** An IFD with no next one; its entries by rising tag. */
function writeIfd(target: Buffer, at: number, entries: readonly Entry[]): void {
  target.writeUInt16BE(entries.length, at);
  for (const [i, [tag, type, count, value]] of entries.entries()) {
    const entry = at + 2 + i * ENTRY_BYTES;
    target.writeUInt16BE(tag, entry);
    target.writeUInt16BE(type, entry + 2);
    target.writeUInt32BE(count, entry + 4);
    target.writeUInt32BE(value, entry + 8);
  }
}

/** Our record of a block, as `readUserComment`; undefined for the notes of other makers. */
export function readExifRecord(exif: Uint8Array): Uint8Array | undefined {
  const note = readField(exif, MAKER_NOTE);
  const isOurs = note?.subarray(0, RECORD_PREFIX.length).equals(RECORD_PREFIX) === true;
  return isOurs ? note.subarray(RECORD_PREFIX.length) : undefined;
}

/**
 * The UserComment of a block in either byte order, with or without "Exif\0\0" before it; undefined where there is none
 * or the block is damaged. Reads nothing outside the block.
 */
export function readUserComment(exif: Uint8Array): string | undefined {
  const comment = readField(exif, USER_COMMENT);
  return comment === undefined ? undefined : decodeComment(comment);
}

/** The bytes of a field of the Exif IFD. */
function readField(exif: Uint8Array, tag: number): Buffer | undefined {
  let tiff = Buffer.from(exif.buffer, exif.byteOffset, exif.byteLength);
  while (tiff.subarray(0, JPEG_PREFIX.length).equals(JPEG_PREFIX)) tiff = tiff.subarray(JPEG_PREFIX.length);
  if (tiff.length < 8) return undefined;
  const order = tiff.toString('latin1', 0, 4);
  if (order !== 'MM\0*' && order !== 'II*\0') return undefined;
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength);
  const little = order.startsWith('I');
  const pointer = findEntry(view, view.getUint32(4, little), EXIF_POINTER, little);
  if (pointer === undefined) return undefined;
  const entry = findEntry(view, view.getUint32(pointer + 8, little), tag, little);
  if (entry === undefined) return undefined;
  const length = view.getUint32(entry + 4, little);
  const offset = view.getUint32(entry + 8, little);
  // Up to four bytes stand in the entry itself: too few for a comment or a record.
  if (length < UNICODE.length || length > MAX_FIELD_BYTES || offset + length > tiff.length) return undefined;
  return tiff.subarray(offset, offset + length);
}

/** Where the entry with `tag` starts in the IFD at `ifd`; 12 bytes can be read there. */
function findEntry(view: DataView, ifd: number, tag: number, little: boolean): number | undefined {
  if (ifd + 2 > view.byteLength) return undefined;
  const count = Math.min(view.getUint16(ifd, little), MAX_ENTRIES);
  for (let i = 0; i < count; i += 1) {
    const entry = ifd + 2 + i * ENTRY_BYTES;
    if (entry + ENTRY_BYTES > view.byteLength) return undefined;
    if (view.getUint16(entry, little) === tag) return entry;
  }
  return undefined;
}

function decodeComment(comment: Buffer): string | undefined {
  const encoding = comment.subarray(0, 8);
  const body = comment.subarray(8);
  if (encoding.equals(UNICODE)) return decodeUtf16(body);
  if (encoding.equals(ASCII) || encoding.equals(UNNAMED)) return body.toString('utf8').replace(/\0+$/, '');
  return undefined;
}

const MARKS: Readonly<Record<number, 'big' | 'little'>> = { 65279: 'big', 65534: 'little' };
/** What every picture's parameters hold, whatever their prompt. */
const ANCHOR = Buffer.from('Steps: ', 'utf16le');
const SWAPPED_ANCHOR = Buffer.from(ANCHOR).swap16();

/** Where UTF-16 units begin. */
function holds(body: Buffer, units: Buffer): boolean {
  let at = body.indexOf(units);
  while (at % 2 === 1) at = body.indexOf(units, at + 1);
  return at >= 0;
}

/** The side on which more of the units' zero bytes are: Latin letters have one each. */
function likelyOrder(even: Buffer): 'big' | 'little' {
  if (holds(even, SWAPPED_ANCHOR)) return 'big';
  if (holds(even, ANCHOR)) return 'little';
  let balance = 0;
  for (let i = 0; i < even.length; i += 2) {
    if (even[i] === 0 && even[i + 1] !== 0) balance += 1;
    if (even[i] !== 0 && even[i + 1] === 0) balance -= 1;
  }
  return balance < 0 ? 'little' : 'big';
}

/** Exif leaves the byte order open: a mark decides, else what the text looks like. */
function decodeUtf16(body: Buffer): string {
  const even = Buffer.from(body.subarray(0, body.length - (body.length % 2)));
  const marked = even.length < 2 ? undefined : MARKS[even.readUInt16BE(0)];
  const order = marked ?? likelyOrder(even);
  const text = (order === 'little' ? even : even.swap16()).toString('utf16le');
  return marked === undefined ? text : text.slice(1);
}
