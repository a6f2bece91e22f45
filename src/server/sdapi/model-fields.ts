import { type ModelDefaults, modelDefaults } from '../../checkpoints/defaults.js';
import type { CommandOptions } from '../../context/runtime-context.js';
import { openModel } from '../../runtime/open-model.js';
import { findSampler } from '../../sampling/samplers.js';
import { findScheduler } from '../../sampling/schedules.js';
import type { Services } from '../services.js';
import type { GenerationBody } from './bodies.js';

/** What the file of the model that these options name states for itself; nothing where it states nothing. */
async function statedBy(commandOptions: CommandOptions, { provider }: Services): Promise<ModelDefaults> {
  const { model } = await openModel(commandOptions, provider);
  try {
    const { metadata, noise } = model.description;
    return modelDefaults(metadata, model.path, noise.trailingTimesteps);
  } finally {
    model.release?.();
  }
}

/** Whether a body as it was sent says nothing of these fields; a null says nothing. */
const lacks = (raw: unknown, ...fields: readonly (keyof GenerationBody)[]): boolean =>
  fields.every((field) => (Reflect.get(Object(raw), field) ?? null) === null);

/**
 * A body in which the settings that the model states for itself stand for what was left out: the webui's defaults are made
 * for its own models, and a small one gives nothing at 512x512. Sides, and sampler and schedule, count together: whoever
 * gives one of them knows what the other is without it.
 * @param raw the body as it was sent
 * @throws FailureError where the model cannot be opened
 */
export async function withModelSettings<B extends GenerationBody>(
  body: B,
  raw: unknown,
  commandOptions: CommandOptions,
  services: Services,
): Promise<B> {
  const lacksSize = lacks(raw, 'width', 'height');
  const lacksSampler = lacks(raw, 'sampler_name', 'sampler_index', 'scheduler');
  const [lacksSteps, lacksScale] = [lacks(raw, 'steps'), lacks(raw, 'cfg_scale')];
  if (![lacksSize, lacksSampler, lacksSteps, lacksScale].includes(true)) return body;
  const { steps, cfgScale, width, height, sampler, scheduler } = await statedBy(commandOptions, services);
  return {
    ...body,
    ...(lacksSteps && steps !== undefined ? { steps } : {}),
    ...(lacksScale && cfgScale !== undefined ? { cfg_scale: cfgScale } : {}),
    ...(lacksSize && width !== undefined ? { width } : {}),
    ...(lacksSize && height !== undefined ? { height } : {}),
    ...(lacksSampler && sampler !== undefined ? { sampler_name: findSampler(sampler).name } : {}),
    ...(lacksSampler && scheduler !== undefined ? { scheduler: findScheduler(scheduler).label } : {}),
  };
}
