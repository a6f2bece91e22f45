import { shortHash } from '../checkpoints/hash.js';
import { NUMERICS_VERSION, VERSION } from '../context/version.js';
import { decodeRgb, encodePicture } from '../image/codec.js';
import type { GeneratedImage } from '../pipeline/execute.js';
import { type FileRecord, isPlanIntact } from '../pipeline/picture-record.js';
import { type Parting, partingOf } from '../pipeline/trail.js';
import type { ImageFormat } from '../request/limits.js';
import type { PreparedRun } from './prepare.js';

/** An image file that was read, its pixels not yet decoded. */
export interface PictureFile {
  readonly bytes: Uint8Array;
  readonly format: string;
  readonly width: number;
  readonly height: number;
}

/** What came of making a picture again. */
export type Verdict =
  /** All latents, where they are recorded, and all pixels of the file are the same. */
  | { readonly kind: 'identical' }
  /** The latents part from the recorded ones. `steps`: of that pass. */
  | ({ readonly kind: 'trail'; readonly steps: number } & Parting)
  /** The latents are the recorded ones, the pixels that they were decoded to are not. */
  | { readonly kind: 'decoder' }
  /** All is as recorded, but the file shows other pixels: by so many levels of 255 on average; null for another size. */
  | { readonly kind: 'pixels'; readonly difference: number | null }
  /** A file of a format that loses, without a record: its pixels cannot be those that were made. */
  | { readonly kind: 'unproven'; readonly difference: number | null };

export interface Verification {
  readonly verdict: Verdict;
  /** What is not as it was, and may be why; for people. */
  readonly reasons: readonly string[];
}

/** What was made again, and what it was made with. */
export interface Replay {
  readonly prepared: Pick<PreparedRun, 'plan' | 'planSha256' | 'context'>;
  readonly image: GeneratedImage;
}

function deviceReason(record: FileRecord, { plan, context }: Replay['prepared']): string | undefined {
  const { name, precision } = record.plan.device;
  const { isa } = context.device;
  if (precision === 'fp32' && plan.device.precision === 'fp32') return undefined;
  if (precision !== plan.device.precision) {
    return `it was made in ${precision} and is made again in ${plan.device.precision}`;
  }
  if (name === plan.device.name && record.isa === isa) return undefined;
  return (
    `it was made on ${name} ${record.isa} and is made again on ${plan.device.name} ${isa}: only fp32 gives the same ` +
    `bytes everywhere, ${precision} where the instruction set is the same`
  );
}

/** What here is not as the record says. */
function differencesOf(record: FileRecord, { prepared }: Replay): string[] {
  const { plan } = prepared;
  const wanted = record.plan.model;
  const reasons = [
    isPlanIntact(record) ? undefined : 'the plan in the picture was changed after the picture was made',
    wanted.sha256 === plan.model.sha256
      ? undefined
      : `the model is ${shortHash(plan.model.sha256)}, and was ${shortHash(wanted.sha256)} (${wanted.name})`,
    wanted.vae?.sha256 === plan.model.vae?.sha256 ? undefined : 'the VAE is another one',
    deviceReason(record, prepared),
    record.numerics === NUMERICS_VERSION
      ? undefined
      : `it was made by version ${record.numerics} of the numerics, and this is version ${NUMERICS_VERSION}`,
    record.sdgen === VERSION ? undefined : `it was made by sdgen ${record.sdgen}, and this is ${VERSION}`,
  ];
  return reasons.filter((reason) => reason !== undefined);
}

/** Mean difference of two pictures in levels; 0 is equal, null another size. */
export function differenceOf(a: Pixels, b: Pixels): number | null {
  if (a.width !== b.width || a.height !== b.height || a.data.length !== b.data.length) return null;
  let sum = 0;
  for (let i = 0; i < a.data.length; i += 1) sum += Math.abs((a.data[i] ?? 0) - (b.data[i] ?? 0));
  return sum / a.data.length;
}

interface Pixels {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/**
 * How the file's pixels differ from those that were made. A format that loses is compared after the same loss.
 * @param written how the file was written; undefined where nothing says it
 */
async function compareFile(
  file: PictureFile,
  image: GeneratedImage,
  written: { readonly format: ImageFormat; readonly quality: number } | undefined,
): Promise<number | null> {
  const { width, height, pixels } = image;
  if (file.width !== width || file.height !== height) return null;
  const shown = await decodeRgb(file.bytes, width * height);
  const made = { data: pixels, width, height };
  if (written === undefined || written.format === 'png' || written.format !== file.format) {
    return differenceOf(shown, made);
  }
  const lossy = await encodePicture({ rgb: pixels, width, height }, { ...written, parameters: '' });
  return differenceOf(shown, await decodeRgb(lossy, width * height));
}

const CHANGED = 'the file was changed after it was made, or written by another version of the encoder';

/**
 * Whether a picture is what its record says.
 * @param replay the record's plan, run again
 * @throws FailureError E_IMAGE_FORMAT when the file cannot be decoded
 */
export async function verifyRecord(record: FileRecord, file: PictureFile, replay: Replay): Promise<Verification> {
  const { image } = replay;
  const differences = differencesOf(record, replay);
  const parting = partingOf(record.trail, image.trail ?? []);
  if (parting !== undefined) {
    const steps = Math.max(...(record.trail[parting.pass]?.steps ?? [0]));
    const again = 'later latents agree again: the recorded hash was changed, not the run';
    const unknown =
      'nothing here differs from what the record says: the record was changed, or one of the two runs miscalculated';
    const reasons = parting.agreeAgain ? [again] : differences.length > 0 ? differences : [unknown];
    return { verdict: { kind: 'trail', steps, ...parting }, reasons };
  }
  if (image.pixelSha256 !== record.pixelSha256) {
    const decoder =
      'the latents are the recorded ones: the decoder (VAE) gave other pixels, or the recorded hash of them was changed';
    return { verdict: { kind: 'decoder' }, reasons: [decoder, ...differences] };
  }
  const difference = await compareFile(file, image, record.file);
  if (difference === 0) return { verdict: { kind: 'identical' }, reasons: [] };
  return { verdict: { kind: 'pixels', difference }, reasons: [CHANGED] };
}

/**
 * Whether a picture without a record has the pixels that its parameters give.
 * @throws FailureError E_IMAGE_FORMAT when the file cannot be decoded
 */
export async function verifyPixels(file: PictureFile, { image }: Replay): Promise<Verification> {
  const difference = await compareFile(file, image, undefined);
  if (difference === 0) return { verdict: { kind: 'identical' }, reasons: [] };
  const isLossless = file.format === 'png';
  const why = isLossless
    ? 'it has no record of how it was made: another program, version, device or setting, or an edit'
    : `a ${file.format} loses pixels and has no record of those it had`;
  return { verdict: { kind: isLossless ? 'pixels' : 'unproven', difference }, reasons: [why] };
}
