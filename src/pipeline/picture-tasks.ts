import { crop } from '../image/composite.js';
import { dropAlpha, type ReadPicture, readPicture } from '../image/read-picture.js';
import type { Pixels } from '../image/resize.js';
import { upscaleTo } from '../image/upscalers.js';
import type { UpscaleRequest } from '../request/upscale.js';
import type { PixelUpscaler } from '../request/upscalers.js';
import {
  type FinishInput,
  finishPicture,
  type PreparedPictures,
  prepareStart,
  type RunInputs,
  type StartSettings,
} from './start-pictures.js';
import { type UpscaledPicture, upscalePicture } from './upscale.js';

interface EnlargeInput {
  readonly image: Pixels;
  readonly width: number;
  readonly height: number;
  readonly upscaler: PixelUpscaler;
  /** What is kept of the size: whole cells of the latent. */
  readonly kept: { readonly width: number; readonly height: number };
}

/** Work on pictures that takes its time: by name, so that a thread can be asked for it. Plain data in and out. */
export const PICTURE_TASKS = {
  /** An image file's bytes, decoded. */
  read: (bytes: Uint8Array): Promise<ReadPicture> => readPicture(bytes),
  /** What a run begins with. */
  prepare: ({ inputs, settings }: { inputs: RunInputs; settings: StartSettings }): PreparedPictures =>
    prepareStart(inputs, settings),
  /** What becomes of a result. */
  finish: (input: FinishInput): Pixels => finishPicture(input),
  /** A first pass's picture at the size of the second. */
  enlarge: ({ image, width, height, upscaler, kept }: EnlargeInput): Pixels =>
    crop(upscaleTo(image, width, height, upscaler), { x: 0, y: 0, ...kept }),
  /** An image file's picture at another size, RGB. */
  upscale: async ({ bytes, request }: { bytes: Uint8Array; request: UpscaleRequest }): Promise<UpscaledPicture> => {
    const { pixels } = await readPicture(bytes);
    const made = upscalePicture(pixels, request);
    return { ...made, pixels: dropAlpha(made.pixels) };
  },
} as const;
export type PictureTasks = typeof PICTURE_TASKS;
export type PictureTask = keyof PictureTasks;
export type TaskInput<K extends PictureTask> = Parameters<PictureTasks[K]>[0];
export type TaskOutput<K extends PictureTask> = Awaited<ReturnType<PictureTasks[K]>>;

/** A task as it goes to a thread, or that nobody wants it any more. */
export type TaskMessage =
  | { readonly id: number; readonly task: PictureTask; readonly input: unknown }
  | { readonly cancelled: number };

/** What comes back: `error` where it failed, as plain data. */
export interface TaskReply {
  readonly id: number;
  readonly output?: unknown;
  readonly error?: TaskFailure;
}

export interface TaskFailure {
  readonly kind: 'usage' | 'failure' | 'defect';
  readonly message: string;
  readonly code?: string | undefined;
  readonly field?: string | undefined;
}
