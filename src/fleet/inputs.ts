import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { deflate, inflate } from 'node:zlib';
import type { PlanPicture, PlanStart } from '../pipeline/plan-start.js';
import { FailureError } from '../request/errors.js';
import type { PixelInput } from '../request/img2img.js';
import { type BlobStore, inputKey } from './stores/store.js';

const packed = promisify(deflate);
const unpacked = promisify(inflate);

const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');

/** Puts a picture's pixels, packed, under their own hash: the plan says their size. */
export async function putInput(store: BlobStore, { data }: PixelInput): Promise<void> {
  await store.put(inputKey(sha256(data)), await packed(data, { level: 1 }));
}

async function getInput(store: BlobStore, wanted: PlanPicture): Promise<PixelInput> {
  const { width, height, channels } = wanted;
  const refuse = (why: string, cause?: unknown): never => {
    throw new FailureError('E_INPUT', `the picture ${wanted.sha256.slice(0, 12)} that the plan begins with ${why}`, {
      cause,
    });
  };
  const bytes = (await store.get(inputKey(wanted.sha256))) ?? refuse('is not where plans leave them');
  const size = width * height * channels;
  const data = await unpacked(bytes, { maxOutputLength: size }).catch((cause: unknown) => refuse('is damaged', cause));
  if (data.length !== size || sha256(data) !== wanted.sha256) refuse('is not the one that was left');
  return { data, width, height, channels };
}

/**
 * What a plan begins with, each picture once.
 * @throws FailureError E_INPUT where one is not there or not what it says
 */
export async function getInputs(
  { pictures, mask }: PlanStart,
  store: BlobStore,
): Promise<{ readonly initImages: readonly PixelInput[]; readonly mask?: PixelInput }> {
  const known = new Map<string, Promise<PixelInput>>();
  const get = (wanted: PlanPicture): Promise<PixelInput> => {
    const key = JSON.stringify(wanted);
    const found = known.get(key) ?? getInput(store, wanted);
    known.set(key, found);
    return found;
  };
  const initImages = await Promise.all(pictures.map(get));
  return mask === null ? { initImages } : { initImages, mask: await get(mask.picture) };
}
