/** Where results and input pictures lie between the one who asks and the one who makes. */
export interface BlobStore {
  /**
   * Tells stores apart: both sides must mean the same one, whatever they call it. null: the queue itself, which
   * everybody has.
   */
  readonly id: string | null;
  /**
   * Keeps it under its key, in the place of what was there; whole or not at all.
   * @throws FailureError E_STORE, E_IO
   */
  put(key: string, data: Uint8Array): Promise<void>;
  /** Undefined where there is none. @throws FailureError E_STORE, E_IO */
  get(key: string): Promise<Buffer | undefined>;
  /** Nothing happens where there is none. @throws FailureError E_STORE, E_IO */
  remove(key: string): Promise<void>;
}

/** The most that one blob may be, wherever it lies: what a reader takes into memory. */
export const MAX_BLOB_BYTES = 2 ** 30;

/** `results/ID` and `inputs/SHA-256`. */
export const resultKey = (task: string): string => `results/${task}`;
export const inputKey = (sha256: string): string => `inputs/${sha256}`;

/** A key is a path of ours and never anybody else's. */
export function checkKey(key: string): string {
  if (/^(results|inputs)\/[\w-][\w.-]*$/.test(key)) return key;
  throw new TypeError(`${JSON.stringify(key.slice(0, 100))} is no key of a store`);
}
