import type { ImageFormat } from '../request/limits.js';

/** A picture ready to be kept: a complete image file in memory. */
export interface EncodedPicture {
  /** Place in the run, from 0. */
  readonly index: number;
  readonly seed: number;
  readonly format: ImageFormat;
  readonly data: Uint8Array;
}

export interface SavedPictures {
  /** Where each picture went, in order. */
  readonly paths: readonly string[];
  readonly gridPath: string | undefined;
}

/** What a run will give to its sink. */
export interface SinkRun {
  readonly seeds: readonly number[];
  readonly grid: boolean;
  readonly format: ImageFormat;
}

/** Where a run's pictures go. */
export interface PictureSink {
  /**
   * Before anything is computed.
   * @throws FailureError for a place that cannot be written, UsageError for one that makes no sense
   */
  check(run: SinkRun): Promise<void>;
  /**
   * Keeps all pictures of a run; nothing half-written is left behind, and nothing at all when the signal aborts.
   * @throws FailureError
   */
  save(pictures: readonly EncodedPicture[], grid: Uint8Array | undefined, signal: AbortSignal): Promise<SavedPictures>;
}
