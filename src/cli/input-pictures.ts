import { resolve } from 'node:path';
import type { GenerationPlan } from '../pipeline/plan.js';
import { planPicture } from '../pipeline/start-pictures.js';
import { FailureError, UsageError } from '../request/errors.js';
import type { PixelInput } from '../request/img2img.js';
import { decodeInput } from '../runtime/run-inputs.js';
import { warn } from './failure.js';
import type { Flags } from './flags.js';
import type { Io } from './io.js';
import { printable, readImage } from './run-info.js';

/**
 * Decodes an image file's bytes; what of the file is left out is told on stderr.
 * @throws FailureError that names the file
 */
export async function decodeFile(bytes: Uint8Array, file: string, io: Io): Promise<PixelInput> {
  const notes: string[] = [];
  const input = await decodeInput(bytes, printable(file), notes);
  for (const note of notes) warn(io, printable(note));
  return input;
}

/** The files of --input. */
export function inputFiles({ values }: Flags): readonly string[] {
  const { input } = values;
  return Array.isArray(input) ? input.map(String) : typeof input === 'string' ? [input] : [];
}

/**
 * The pictures that a plan begins with, found by their hashes among those of --input, and its mask.
 * @throws UsageError where none is given, FailureError E_INPUT where none of them is it
 */
export async function inputsOfPlan({ start }: GenerationPlan, flags: Flags, io: Io) {
  if (start === null) return {};
  const files = inputFiles(flags);
  if (files.length === 0) throw new UsageError('it began with a picture: give that with --input', 'input');
  const { initImages: given, mask } = await readInputPictures(files, flags, io);
  const initImages = start.pictures.map((wanted) => {
    const found = given.find((picture) => planPicture(picture).sha256 === wanted.sha256);
    if (found !== undefined) return found;
    const hash = wanted.sha256.slice(0, 12);
    throw new FailureError('E_INPUT', `none of the --input pictures has the pixels that it began with (${hash})`);
  });
  return { initImages, ...(mask === undefined || start.mask === null ? {} : { mask }) };
}

async function readInput(file: string, io: Io): Promise<PixelInput> {
  return decodeFile(await readImage(resolve(io.cwd, file)), file, io);
}

/**
 * A request's pictures and mask from the files that the command line names.
 * @throws FailureError that names the file
 */
export async function readInputPictures(images: readonly string[], { values }: Flags, io: Io) {
  const initImages: PixelInput[] = [];
  for (const image of images) initImages.push(await readInput(image, io));
  const mask = typeof values.mask === 'string' ? await readInput(values.mask, io) : undefined;
  return { initImages, ...(mask === undefined ? {} : { mask }) };
}
