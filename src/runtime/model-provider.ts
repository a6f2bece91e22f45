import { realpath } from 'node:fs/promises';
import { basename } from 'node:path';
import { type CheckpointFile, findCheckpoint } from '../checkpoints/find.js';
import { findByHash, type WantedModel } from '../checkpoints/find-by-hash.js';
import { resolveVae } from '../checkpoints/find-vae.js';
import { hashModel, hashVae } from '../checkpoints/hash.js';
import type { CommandOptions, OpenModel, ResolvedDevice } from '../context/runtime-context.js';
import { loadAddon } from '../native/load.js';
import { Model } from '../native/model.js';
import type { Capabilities, DeviceMemory, NativeAddon, OpenOptions } from '../native/types.js';
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
  /**
   * The path of the model or VAE with that content in the models folders; undefined where none has it. A folder of that
   * name is given as it is.
   */
  locate?(wanted: WantedModel, modelsDirs: readonly string[], signal?: AbortSignal): Promise<string | undefined>;
  /** Of devices that have memory of their own, as it is now. @throws FailureError where one does not answer */
  deviceMemory?(): Promise<readonly DeviceMemory[]>;
  /** Closes models that nobody uses, the longest unused first, until `fits` says that there is room. */
  makeRoom?(fits: () => Promise<boolean>): Promise<void>;
  /** Closes models: those in use when their users are done. */
  unload?(): Promise<void>;
  /** Closes every model; runs under way are cancelled. Idempotent. */
  dispose(): Promise<void>;
}

export interface ProviderOptions {
  /** Folder where content hashes are remembered. */
  readonly cacheFolder?: string | undefined;
  readonly onWarning?: ((message: string) => void) | undefined;
  /** Told of each file that is read for its hash while one of a certain content is looked for. */
  readonly onSearch?: ((path: string) => void) | undefined;
  /** Models whose weights stay in memory while nobody uses them; without a number all do. */
  readonly keepModels?: number | undefined;
  /** The engine; the package's own addon unless told otherwise. */
  readonly addon?: (() => Promise<NativeAddon>) | undefined;
}

/** One content on one device: what the names of equal files share. */
class SharedEngine {
  readonly #listeners = new Set<(share: number) => void>();
  #load: SharedTask<void> | undefined;
  loaded = false;
  /** Who was given it and has not released it. */
  users = 0;
  closed = false;
  /** To be closed when its last user is done. */
  unwanted = false;

  /** @param beforeLoad what is to be done before weights are read */
  constructor(
    readonly sha256: string,
    readonly engine: Model,
    readonly beforeLoad: () => Promise<void>,
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

  async #read(signal: AbortSignal): Promise<void> {
    await this.beforeLoad();
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
  #onRelease: (() => void) | undefined;
  readonly sha256: string;
  readonly engine: Model;
  readonly description: OpenModel['description'];

  constructor(
    readonly name: string,
    readonly path: string,
    shared: SharedEngine,
    readonly vae: OpenModel['vae'],
    onRelease: () => void,
  ) {
    this.#onRelease = onRelease;
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

  release(): void {
    this.#onRelease?.();
    this.#onRelease = undefined;
  }
}

/** Keeps models open, one for each content, device, precision and thread count. A user of a model releases it when done. */
export class CachedModelProvider implements ModelProvider {
  readonly #options: ProviderOptions;
  #addon: Promise<NativeAddon> | undefined;
  readonly #opening = new Map<string, SharedTask<SharedEngine>>();
  /** What an opening came to. */
  readonly #opened = new WeakMap<SharedTask<SharedEngine>, SharedEngine>();
  /** By content and variant; the one that was used last stands last. */
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

  async deviceMemory(): Promise<readonly DeviceMemory[]> {
    try {
      return await (await this.#engine()).deviceMemory().promise;
    } catch (error) {
      throw asFailure(error);
    }
  }

  async getModel(request: ModelRequest, signal?: AbortSignal): Promise<OpenModel> {
    if (this.#disposed) throw new FailureError('E_CLOSED', 'the model provider is closed');
    const file = await findCheckpoint(request.model, request.modelsDirs, request.cwd);
    const path = await realpath(file.path);
    const { device, threads, overrides } = request;
    const vae = await this.#vaeFor(file, request, signal);
    const open: OpenOptions = {
      path,
      ...(vae === undefined ? {} : { vae: vae.path }),
      device: device.name,
      precision: device.precision,
      threads,
      overrides,
    };
    const key = JSON.stringify([path, file.bytes, file.modified.getTime(), vae?.sha256, variantOf(open)]);
    const shared = await this.#join(key, open, signal);
    return new NamedModel(file.name, path, shared, vae, () => this.#release(shared));
  }

  async locate(wanted: WantedModel, modelsDirs: readonly string[], signal?: AbortSignal): Promise<string | undefined> {
    const { cacheFolder, onWarning, onSearch } = this.#options;
    return findByHash(wanted, modelsDirs, { cacheFolder, onWarning, onRead: onSearch, signal });
  }

  /** The engine of an opening that others may wait for too, with one more user. */
  async #join(key: string, open: OpenOptions, signal?: AbortSignal): Promise<SharedEngine> {
    let task = this.#opening.get(key);
    if (task === undefined || task.abandoned) {
      const begun: SharedTask<SharedEngine> = new SharedTask(async (shared) => {
        const engine = await this.#open(open, shared);
        this.#opened.set(begun, engine);
        return engine;
      });
      task = begun;
      this.#opening.set(key, task);
    }
    try {
      const engine = await task.join(signal);
      // Nobody used it for a moment, and it was closed in that.
      if (engine.closed && !this.#disposed) return await this.#join(key, open, signal);
      this.#take(engine);
      return engine;
    } catch (error) {
      const over = signal?.aborted !== true || task.abandoned;
      if (over && this.#opening.get(key) === task) this.#opening.delete(key);
      throw asFailure(error, signal);
    }
  }

  /** The VAE's own content is its identity, as a model's is. */
  async #vaeFor(file: CheckpointFile, { vae, modelsDirs, cwd }: ModelRequest, signal?: AbortSignal) {
    const found = await resolveVae(vae, file, modelsDirs, cwd);
    if (found === undefined) return undefined;
    const path = await realpath(found);
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

  async makeRoom(fits: () => Promise<boolean>): Promise<void> {
    for (const model of [...this.#models.values()]) {
      if (model.users > 0 || !model.loaded) continue;
      if (await fits()) return;
      await this.#close(model);
    }
  }

  async unload(): Promise<void> {
    for (const model of [...this.#models.values()]) {
      model.unwanted = true;
      if (model.users === 0) await this.#close(model);
    }
  }

  #take(model: SharedEngine): void {
    model.users += 1;
    model.unwanted = false;
    for (const [key, known] of this.#models) {
      if (known !== model) continue;
      this.#models.delete(key);
      this.#models.set(key, model);
      return;
    }
  }

  #release(model: SharedEngine): void {
    model.users -= 1;
    const settled = model.unwanted && model.users === 0 ? this.#close(model) : this.#limit(0);
    settled.catch((error: unknown) => this.#options.onWarning?.(`cannot close a model: ${String(error)}`));
  }

  /** Closes unused models, the longest unused first, so that with `more` to come no more than wanted are loaded. */
  async #limit(more: number): Promise<void> {
    const { keepModels } = this.#options;
    if (keepModels === undefined) return;
    const loaded = [...this.#models.values()].filter((model) => model.loaded);
    const unused = loaded.filter((model) => model.users === 0);
    const excess = loaded.length + more - Math.max(keepModels, more);
    for (const model of unused.slice(0, Math.max(0, excess))) await this.#close(model);
  }

  async #close(model: SharedEngine): Promise<void> {
    for (const [key, known] of this.#models) if (known === model) this.#models.delete(key);
    for (const [key, task] of this.#opening) if (this.#opened.get(task) === model) this.#opening.delete(key);
    model.closed = true;
    await model.engine.close();
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
      const model: SharedEngine = new SharedEngine(sha256, engine, () => this.#limit(1));
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
