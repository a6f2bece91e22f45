import type { FastifyBaseLogger } from 'fastify';
import { vaeWord } from '../checkpoints/vae-names.js';
import type { CommandOptions } from '../context/runtime-context.js';
import type { ExtensionRegistry } from '../extensions/registry.js';
import type { ModelProvider } from '../runtime/model-provider.js';
import type { ProcessingRunner } from '../runtime/processing-runner.js';
import type { ExecutionQueue } from '../runtime/queue.js';
import type { Catalog, CatalogEntry } from './catalog.js';
import { HttpError } from './errors.js';
import type { JobStore } from './job-store.js';
import type { ServerMetrics } from './metrics.js';
import type { OptionsView, WebuiOptions } from './sdapi/option-store.js';
import type { ServerSettings } from './settings.js';

/** Where the checkpoints are listed: folders, or a stand-in. */
export type Models = Pick<Catalog, 'entries' | 'vaes' | 'find' | 'findVae' | 'at' | 'remember'>;

/** What the routes of one server share. */
export interface Services {
  readonly settings: ServerSettings;
  readonly runner: ProcessingRunner;
  readonly provider: ModelProvider;
  readonly options: WebuiOptions;
  readonly queue: ExecutionQueue;
  readonly jobs: JobStore;
  readonly models: Models;
  readonly metrics: ServerMetrics;
  readonly extensions: ExtensionRegistry | undefined;
  readonly log: FastifyBaseLogger;
  /** Whether the server takes new work; false once it is told to end. */
  isOpen: boolean;
}

/** The checkpoint that options name. @throws HttpError 404 */
export async function checkpointOf({ models }: Pick<Services, 'models'>, name: string): Promise<CatalogEntry> {
  const found = await models.find(name);
  if (found !== undefined) return found;
  throw new HttpError(404, `there is no checkpoint ${JSON.stringify(name.slice(0, 200))}: see /sdapi/v1/sd-models`);
}

/**
 * What an option's VAE is for a run: none, a file, or undefined: as the server was started.
 * @throws HttpError 404 for one that is not there, where the webui goes on with the checkpoint's own
 */
export async function vaeOf({ models }: Pick<Services, 'models'>, name: unknown): Promise<string | undefined> {
  const text = typeof name === 'string' && name !== '' ? name : 'automatic';
  const word = vaeWord(text);
  if (word !== undefined) return word === 'none' ? word : undefined;
  const found = await models.findVae(text);
  if (found !== undefined) return found.filename;
  throw new HttpError(404, `there is no VAE ${JSON.stringify(text.slice(0, 200))}: see /sdapi/v1/sd-vae`);
}

/**
 * What a run with these options is started with: the model, its VAE and its noise schedule.
 * @throws HttpError 404 for a checkpoint or VAE that is not there
 */
export async function commandOptionsFor(
  services: Pick<Services, 'models' | 'settings'>,
  options: OptionsView,
): Promise<CommandOptions> {
  const { commandOptions } = services.settings;
  const { sd_model_checkpoint: checkpoint, sd_vae: vae, sd_noise_schedule: noise } = options.webui;
  const model =
    typeof checkpoint === 'string' && checkpoint !== ''
      ? (await checkpointOf(services, checkpoint)).filename
      : undefined;
  const otherVae = await vaeOf(services, vae);
  return {
    ...commandOptions,
    ...(model === undefined ? {} : { model }),
    ...(otherVae === undefined ? {} : { vae: otherVae }),
    ...(noise === 'Default' ? {} : { overrides: { ...commandOptions.overrides, zeroTerminalSnr: true } }),
  };
}
