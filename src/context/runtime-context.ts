import type { Model } from '../native/model.js';
import type { DeviceName, ModelDescription, ModelOverrides, Precision } from '../native/types.js';
import type { OptionsSnapshot } from './options.js';
import type { RunState } from './run-state.js';

/** What the process was started with; the same for all its runs. */
export interface CommandOptions {
  /** A file or a name in a models folder; undefined when none is given. */
  readonly model: string | undefined;
  /** A VAE in the place of the model's own: a file, a folder or a name; automatic, which is the default; or none. */
  readonly vae?: string | undefined;
  readonly modelsDirs: readonly string[];
  /** Files of styles; undefined: styles.csv in `cwd`, if it is there. */
  readonly stylesFiles?: readonly string[] | undefined;
  /** Where relative paths start. */
  readonly cwd: string;
  /** "auto" or a device's name. */
  readonly device: string;
  /** "auto" or a precision's name. */
  readonly precision: string;
  /** 0: one per physical core. */
  readonly threads: number;
  /** What the model's file cannot tell, told by the user. */
  readonly overrides: ModelOverrides;
}

/** What a run computes on; "auto" is resolved. */
export interface ResolvedDevice {
  readonly name: DeviceName;
  readonly precision: Precision;
  readonly description: string;
  readonly isa: string;
  /** Of "auto": the device of this build that it could not take, and why. */
  readonly passedOver?: string | undefined;
}

/** A checkpoint whose header is read and checked; its weights are read once, at the first `load`. */
export interface OpenModel {
  readonly name: string;
  readonly path: string;
  /** SHA-256 of the file's content, in hex; of a folder that of its files' names and hashes. */
  readonly sha256: string;
  /** The other VAE that stands in the place of the model's own. */
  readonly vae?: { readonly name: string; readonly sha256: string } | undefined;
  readonly description: ModelDescription;
  readonly engine: Model;
  /** Whether all weights are in memory. */
  readonly loaded: boolean;
  /** One load for all who ask; `onProgress` gets the share read, 0 … 1. */
  load(signal?: AbortSignal, onProgress?: (share: number) => void): Promise<void>;
  /** Tells that this user is done: a provider may close what nobody uses. */
  release?(): void;
}

/** All that a run is given: made once, frozen, passed as an argument. Only `state` changes. */
export interface RuntimeContext {
  readonly model: OpenModel;
  readonly options: OptionsSnapshot;
  readonly device: ResolvedDevice;
  readonly state: RunState;
  readonly commandOptions: CommandOptions;
}

export function createContext(parts: RuntimeContext): RuntimeContext {
  return Object.freeze({ ...parts });
}
