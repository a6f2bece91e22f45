import { resolve } from 'node:path';
import { type ImageInfo, readImageInfo, thumbnail } from '../image/codec.js';
import { readBoundedFile } from '../image/read-file.js';
import { FailureError } from '../request/errors.js';
import { pictureParameters } from '../runtime/picture-parameters.js';
import { EXIT } from './failure.js';
import type { Flags } from './flags.js';
import { type Io, writeAll } from './io.js';
import { openScreen } from './show.js';

/** A larger file is no picture of ours. */
const MAX_IMAGE_BYTES = 1 << 30;
/** Pixels of the longer side of what --show shows. */
const SHOWN_SIDE = 1024;

/** @throws FailureError naming the path */
export function readImage(path: string): Promise<Buffer> {
  return readBoundedFile(path, MAX_IMAGE_BYTES, 'a picture');
}

/** @throws FailureError naming the path */
export async function inspectImage(path: string): Promise<ImageInfo & { readonly bytes: number }> {
  const bytes = await readImage(path);
  try {
    return { ...(await readImageInfo(bytes)), bytes: bytes.length };
  } catch (error) {
    if (!(error instanceof FailureError)) throw error;
    throw new FailureError(error.code, `${path}: ${error.message}`, { cause: error });
  }
}

function document(file: string, info: ImageInfo & { readonly bytes: number }) {
  const parsed = pictureParameters(info);
  return {
    file,
    format: info.format,
    width: info.width,
    height: info.height,
    bytes: info.bytes,
    infotext: parsed?.text ?? null,
    prompt: parsed?.prompt ?? null,
    negativePrompt: parsed?.negativePrompt ?? null,
    parameters: Object.fromEntries(parsed?.parameters ?? []),
    texts: info.texts,
  };
}

/** Control characters of a stranger's text would steer the terminal. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}]/gu, (character) => (character === '\n' || character === '\t' ? character : '�'));
}

/** @returns the exit code; throws FailureError for what is no image */
export async function runInfo(image: string, flags: Flags, io: Io): Promise<number> {
  const path = resolve(io.cwd, image);
  const facts = document(image, await inspectImage(path));
  if (flags.values.json === true) {
    await writeAll(io.stdout, `${JSON.stringify(facts, null, 2)}\n`);
    return EXIT.ok;
  }
  const lines = [`${facts.file}: ${facts.format}, ${facts.width}x${facts.height}, ${facts.bytes} bytes`];
  if (facts.infotext !== null) lines.push(facts.infotext);
  else lines.push('It carries no parameters.');
  for (const { keyword, text } of facts.texts) if (keyword !== 'parameters') lines.push(`${keyword}: ${text}`);
  await writeAll(io.stdout, `${printable(lines.join('\n'))}\n`);
  const screen = openScreen(flags, io, true);
  if (screen !== undefined) await screen.show(await thumbnail(await readImage(path), SHOWN_SIDE));
  return EXIT.ok;
}
