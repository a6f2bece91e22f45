import { realpath } from 'node:fs/promises';
import { basename } from 'node:path';
import { findCheckpoint, findVae } from '../checkpoints/find.js';
import { hashModel, hashVae } from '../checkpoints/hash.js';
import type { CommandOptions, OpenModel, ResolvedDevice } from '../context/runtime-context.js';
import { loadAddon } from '../native/load.js';
import { Model } from '../native/model.js';
import type { Capabilities, NativeAddon, OpenOptions } from '../native/types.js';
import { FailureError } from '../request/errors.js';
import { asFailure } from './failures.js';
import { SharedTask } from './shared-task.js';

export type ModelRequest = Pick<CommandOptions, 'model' | 'vae' | 'modelsDirs' | 'cwd' | 'threads' | 'overrides'> & {
  readonly device: ResolvedDevice;
};

/** The only way to a model: nothing else opens or loads one. */
export interface ModelProvider {
  capabilities(): Promise<Capabilities>;
  /**
   * The checkpoint that is asked for, its header read and checked.
   * @throws FailureError when there is none or it is not a checkpoint we can run
   */
  getModel(request: ModelRequest, signal?: AbortSignal): Promise<OpenModel>;
  /** Closes every model; runs under way are cancelled. Idempotent. */
  dispose(): Promise<void>;
}

export interface ProviderOptions {
  /** Folder where content hashes are remembered. */
  readonly cacheFolder?: string | undefined;
  readonly onWarning?: ((message: string) => void) | undefined;
  /** The engine; the package's own addon unless told otherwise. */
  readonly addon?: (() => Promise<NativeAddon>) | undefined;
}

/** One content on one device: what the names of equal files share. */
class SharedEngine {
  readonly #listeners = new Set<(share: number) => void>();
  #load: SharedTask<void> | undefined;
  loaded = false;

  constructor(
    readonly sha256: string,
    readonly engine: Model,
  ) {}

  async load(signal?: AbortSignal, onProgress?: (share: number) => void): Promise<void> {
    if (this.loaded) return;
    if (this.#load === undefined || this.#load.abandoned) this.#load = new SharedTask((shared) => this.#read(shared));
    const task = this.#load;
    if (onProgress !== undefined) this.#listeners.add(onProgress);
    try {
      await task.join(signal);
      this.loaded = true;
    } catch (error) {
      if (signal?.aborted !== true && this.#load === task) this.#load = undefined; // the next one may try again
      throw error;
    } finally {
      if (onProgress !== undefined) this.#listeners.delete(onProgress);
    }
  }

  #read(signal: AbortSignal): Promise<void> {
    return this.engine.load({
      signal,
      onProgress: ({ loadedBytes, totalBytes }) => {
        const share = totalBytes === 0 ? 1 : loadedBytes / totalBytes;
        for (const listener of this.#listeners) listener(share);
      },
    });
  }
}

/** A file by the name it was asked for. */
class NamedModel implements OpenModel {
  readonly #shared: SharedEngine;
  readonly sha256: string;
  readonly engine: Model;
  readonly description: OpenModel['description'];

  constructor(
    readonly name: string,
    readonly path: string,
    shared: SharedEngine,
    readonly vae: OpenModel['vae'],
  ) {
    this.#shared = shared;
    this.sha256 = shared.sha256;
    this.engine = shared.engine;
    this.description = shared.engine.describe();
  }

  get loaded(): boolean {
    return this.#shared.loaded;
  }

  load(signal?: AbortSignal, onProgress?: (share: number) => void): Promise<void> {
    return this.#shared.load(signal, onProgress);
  }
}

/** Keeps models open, one for each content, device, precision and thread count. */
export class CachedModelProvider implements ModelProvider {
  readonly #options: ProviderOptions;
  #addon: Promise<NativeAddon> | undefined;
  readonly #opening = new Map<string, SharedTask<SharedEngine>>();
  readonly #models = new Map<string, SharedEngine>();
  #disposed = false;

  constructor(options: ProviderOptions = {}) {
    this.#options = options;
  }

  async capabilities(): Promise<Capabilities> {
    try {
      return (await this.#engine()).capabilities();
    } catch (error) {
      throw asFailure(error);
    }
  }

  async getModel(request: ModelRequest, signal?: AbortSignal): Promise<OpenModel> {
    if (this.#disposed) throw new FailureError('E_CLOSED', 'the model provider is closed');
    const file = await findCheckpoint(request.model, request.modelsDirs, request.cwd);
    const path = await realpath(file.path);
    const { device, threads, overrides } = request;
    const vae = request.vae === undefined ? undefined : await this.#findVae(request.vae, request, signal);
    const open: OpenOptions = {
      path,
      ...(vae === undefined ? {} : { vae: vae.path }),
      device: device.name,
      precision: device.precision,
      threads,
      overrides,
    };
    const key = JSON.stringify([path, file.bytes, file.modified.getTime(), vae?.sha256, variantOf(open)]);
    let task = this.#opening.get(key);
    if (task === undefined || task.abandoned) {
      task = new SharedTask((shared) => this.#open(open, shared));
      this.#opening.set(key, task);
    }
    try {
      return new NamedModel(file.name, path, await task.join(signal), vae);
    } catch (error) {
      const over = signal?.aborted !== true || task.abandoned;
      if (over && this.#opening.get(key) === task) this.#opening.delete(key);
      throw asFailure(error, signal);
    }
  }

  /** The VAE's own content is its identity, as a model's is. */
  async #findVae(wanted: string, { modelsDirs, cwd }: ModelRequest, signal?: AbortSignal) {
    const path = await realpath(await findVae(wanted, modelsDirs, cwd));
    const { cacheFolder, onWarning } = this.#options;
    return { path, name: basename(path), sha256: await hashVae(path, { cacheFolder, onWarning, signal }) };
  }

  async dispose(): Promise<void> {
    this.#disposed = true;
    const models = [...this.#models.values()];
    this.#models.clear();
    this.#opening.clear();
    await Promise.all(models.map((model) => model.engine.close()));
  }

  #engine(): Promise<NativeAddon> {
    this.#addon ??= (this.#options.addon ?? loadAddon)();
    return this.#addon;
  }

  /** The header first: a file that is no checkpoint is refused without reading all of it for its hash. */
  async #open(options: OpenOptions, signal: AbortSignal): Promise<SharedEngine> {
    const engine = await Model.open(await this.#engine(), options);
    try {
      const { cacheFolder, onWarning } = this.#options;
      const sha256 = await hashModel(options.path, engine.describe().files, { cacheFolder, onWarning, signal });
      const key = JSON.stringify([sha256, variantOf(options)]);
      const same = this.#models.get(key);
      if (same !== undefined) {
        await engine.close();
        return same;
      }
      if (this.#disposed) throw new FailureError('E_CLOSED', 'the model provider is closed');
      const model = new SharedEngine(sha256, engine);
      this.#models.set(key, model);
      return model;
    } catch (error) {
      await engine.close();
      throw error;
    }
  }
}

function variantOf({ device, precision, threads, vae, overrides }: OpenOptions) {
  const { predictionType, textHeads, unetHeads, scaleFactor, zeroTerminalSnr } = overrides ?? {};
  return [device, precision, threads, vae, predictionType, textHeads, unetHeads, scaleFactor, zeroTerminalSnr];
}
