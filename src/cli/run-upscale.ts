import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { dirname, extname, join, parse, resolve, sep } from 'node:path';
import { makeFolder, writeFileAtomic } from '../image/atomic-write.js';
import { encodePicture, type ImageInfo, readImageInfo } from '../image/codec.js';
import { extensionOf, formatOfExtension, requireEncodable } from '../image/formats.js';
import { formatPairs } from '../image/infotext.js';
import { dropAlpha } from '../image/read-picture.js';
import type { Pixels } from '../image/resize.js';
import { upscalePicture } from '../pipeline/upscale.js';
import { parseWith } from '../request/describe.js';
import { FailureError, UsageError } from '../request/errors.js';
import type { ImageFormat } from '../request/limits.js';
import { textToImageSchema } from '../request/txt2img.js';
import { parseUpscale, type UpscaleRequest, upscaleSchema } from '../request/upscale.js';
import { findPixelUpscaler } from '../request/upscalers.js';
import { formatOfOutput } from './destination.js';
import { EXIT } from './failure.js';
import { type Flags, pick } from './flags.js';
import { decodeFile } from './input-pictures.js';
import { Interrupt } from './interrupt.js';
import { type Io, writeAll } from './io.js';
import { DEFAULT_FOLDER } from './options.js';
import { readImage } from './run-info.js';

/** Flags whose settings and environment variables speak of pictures that are made. */
const SIZES = new Set(['width', 'height']);
/** Names of a PNG's texts that the webui's extras write. */
const OWN_TEXTS = ['postprocessing', 'extras'];

const outputSchema = textToImageSchema.pick({ format: true, quality: true });

interface Job {
  readonly image: string;
  /** As the user would write it. */
  readonly target: string;
  readonly format: ImageFormat;
  readonly quality: number;
  readonly force: boolean;
}

function readRequest({ values, origins, nameOf }: Flags): UpscaleRequest {
  const fields = Object.keys(upscaleSchema.shape).filter((key) => !SIZES.has(key) || origins[key] === 'flag');
  const request = parseUpscale({ ...pick(values, fields), crop: values.whole !== true }, nameOf);
  const hasSize = request.width !== undefined || request.height !== undefined;
  if (hasSize && origins.scale === 'flag') {
    throw new UsageError('--scale and a size exclude each other: give one of them', 'scale');
  }
  if (findPixelUpscaler(request.upscaler) === 'None') {
    throw new UsageError('--upscaler None leaves pictures as they are: give another', 'upscaler');
  }
  findPixelUpscaler(request.upscaler2, 'upscaler2');
  return request;
}

/** Where each picture goes. @throws UsageError where two would go to one place, FailureError where one is taken */
async function planJobs(images: readonly string[], flags: Flags, io: Io): Promise<Job[]> {
  const { values } = flags;
  const output = String(values.output ?? DEFAULT_FOLDER);
  if (output === '-') throw new UsageError('--output must be a file or a folder here', 'output');
  const isFile = (await formatOfOutput(output, io.cwd)) !== undefined;
  const { format, quality } = parseWith(
    outputSchema,
    { ...pick(values, ['quality']), format: isFile ? formatOfExtension(extname(output)) : values.format },
    flags.nameOf,
  );
  if (isFile && images.length > 1) throw new UsageError(`--output ${output} is one file: give a folder`, 'output');
  const force = values.force === true;
  const taken = new Map<string, string>();
  const jobs: Job[] = [];
  for (const image of images) {
    const target = isFile ? output : join(output, `${parse(image).name}-upscaled${extensionOf(format)}`);
    const path = resolve(io.cwd, target);
    const other = taken.get(path);
    if (other !== undefined) throw new UsageError(`${other} and ${image} would both be written as ${target}`, 'output');
    taken.set(path, image);
    const found = await stat(path).catch(() => undefined); // written anew where it is absent
    if (found?.isDirectory()) throw new FailureError('E_IO', `cannot write ${target}: it is a folder`);
    if (found !== undefined && !force)
      throw new FailureError('E_EXISTS', `${target} exists; use --force to replace it`);
    jobs.push({ image, target, format, quality, force });
  }
  return jobs;
}

/** The texts that the new picture carries: the old one's, and what was done to it. */
function textsFor(info: ImageInfo, done: string, format: ImageFormat) {
  const parameters = info.texts.find(({ keyword }) => keyword === 'parameters')?.text ?? '';
  if (format !== 'png') return { parameters: parameters === '' ? done : `${parameters}, ${done}`, texts: [] };
  const kept = info.texts.filter(({ keyword }) => keyword !== 'parameters' && !OWN_TEXTS.includes(keyword));
  return { parameters, texts: [...kept, ...OWN_TEXTS.map((keyword) => ({ keyword, text: done }))] };
}

async function open(image: string, io: Io): Promise<{ info: ImageInfo; pixels: Pixels }> {
  const bytes = await readImage(resolve(io.cwd, image));
  try {
    const info = await readImageInfo(bytes);
    return { info, pixels: await decodeFile(bytes, image, io) };
  } catch (error) {
    if (!(error instanceof FailureError) || error.message.startsWith(image)) throw error;
    throw new FailureError(error.code, `${image}: ${error.message}`, { cause: error });
  }
}

async function upscaleFile(job: Job, request: UpscaleRequest, io: Io) {
  const { image, target, format, quality, force } = job;
  const { info, pixels } = await open(image, io);
  const { pixels: made, notes } = upscalePicture(pixels, request);
  const { parameters, texts } = textsFor(info, formatPairs(notes), format);
  requireEncodable(format, made, parameters);
  const { data, width, height } = format === 'jpeg' ? dropAlpha(made) : made;
  const bytes = await encodePicture({ rgb: data, width, height }, { format, quality, parameters, texts });
  await makeFolder(resolve(io.cwd, target.endsWith(sep) ? target : dirname(target)));
  await writeFileAtomic(resolve(io.cwd, target), bytes, { force });
  const sha256 = (of: Uint8Array): string => createHash('sha256').update(of).digest('hex');
  return {
    path: target,
    from: image,
    width,
    height,
    fileSha256: sha256(bytes),
    pixelSha256: sha256(data),
    done: Object.fromEntries(notes),
  };
}

/** @returns the exit code; throws UsageError and FailureError. What is written before a failure stays. */
export async function runUpscale(images: readonly string[], flags: Flags, io: Io): Promise<number> {
  const request = readRequest(flags);
  const jobs = await planJobs(images, flags, io);
  const interrupt = new Interrupt(io);
  const files: Awaited<ReturnType<typeof upscaleFile>>[] = [];
  const asJson = flags.values.json === true;
  try {
    for (const job of jobs) {
      if (interrupt.exitCode !== undefined) return interrupt.exitCode;
      const file = await upscaleFile(job, request, io);
      files.push(file);
      if (!asJson) await writeAll(io.stdout, `${file.path}\n`);
    }
    if (asJson) await writeAll(io.stdout, `${JSON.stringify({ files }, null, 2)}\n`);
    return EXIT.ok;
  } finally {
    interrupt.release();
  }
}
