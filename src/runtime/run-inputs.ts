import { pictureThread } from '../pipeline/picture-thread.js';
import type { PlanStart } from '../pipeline/plan-start.js';
import { planPicture, type RunInputs } from '../pipeline/start-pictures.js';
import { FailureError } from '../request/errors.js';
import type { PictureInput, PixelInput } from '../request/img2img.js';

/**
 * Decodes an image file's bytes; pixels stay as they are.
 * @param name what errors and `notes` (what of the file is left out) call it
 * @throws FailureError E_IMAGE_FORMAT
 */
export async function decodeInput(input: PictureInput, name: string, notes: string[]): Promise<PixelInput> {
  if (!(input instanceof Uint8Array)) return input;
  try {
    const read = await pictureThread.run('read', input);
    notes.push(...read.notes.map((note) => `${name} ${note}`));
    const { data, width, height, channels } = read.pixels;
    return { data, width, height, channels: channels === 4 ? 4 : 3 };
  } catch (error) {
    if (!(error instanceof FailureError)) throw error;
    throw new FailureError(error.code, `${name} ${error.message}`, { cause: error });
  }
}

/**
 * Decodes the pictures of a request, each only once.
 * @throws FailureError E_IMAGE_FORMAT for what is no picture
 */
export async function readInputs(images: readonly PictureInput[], mask: PictureInput | undefined): Promise<RunInputs> {
  const notes: string[] = [];
  const pictures: PixelInput[] = [];
  for (const [i, image] of images.entries()) pictures.push(await decodeInput(image, `initImages[${i}]`, notes));
  return { pictures, mask: mask && (await decodeInput(mask, 'mask', notes)), notes };
}

/**
 * Whether these are the pictures that a plan was made with.
 * @throws FailureError E_INPUT naming the first that is not
 */
export function requireInputs(start: PlanStart, inputs: RunInputs): void {
  const refuse = (what: string): never => {
    throw new FailureError('E_INPUT', what);
  };
  const { pictures, mask } = start;
  const count = (n: number): string => (n === 1 ? '1 picture' : `${n} pictures`);
  if (inputs.pictures.length !== pictures.length) {
    refuse(`the plan begins with ${count(pictures.length)}; ${inputs.pictures.length} given`);
  }
  const compare = (what: string, given: PixelInput, wanted: PlanStart['pictures'][number]): void => {
    const { sha256, width, height } = planPicture(given);
    if (sha256 === wanted.sha256 && width === wanted.width && height === wanted.height) return;
    refuse(
      `${what} is not the plan's: its pixels are ${width}x${height} ${sha256.slice(0, 12)}, ` +
        `the plan's ${wanted.width}x${wanted.height} ${wanted.sha256.slice(0, 12)}`,
    );
  };
  for (const [i, wanted] of pictures.entries()) {
    const given = inputs.pictures[i];
    if (given !== undefined) compare(pictures.length === 1 ? 'the picture' : `picture ${i + 1}`, given, wanted);
  }
  if (mask !== null && inputs.mask === undefined) refuse('the plan has a mask: give it too');
  if (mask !== null && inputs.mask !== undefined) compare('the mask', inputs.mask, mask.picture);
}
