import { SAMPLERS } from '../../sampling/samplers.js';
import { SCHEDULERS } from '../../sampling/schedules.js';
import { HttpError } from '../errors.js';

/** A sampler and a schedule by our names. */
export interface SamplerChoice {
  readonly sampler: string;
  readonly scheduler: string;
}

const AUTOMATIC = 'automatic';

function schedulerNamed(text: string) {
  return SCHEDULERS.find(({ name, label, aliases }) => [name, label, ...aliases].includes(text));
}

/**
 * As the webui resolves names: a schedule at the end of the sampler's name ("DPM++ 2M Karras") wins over `scheduler`;
 * where it is the sampler's own it is automatic. What the webui replaces silently by its first sampler is refused.
 * @throws HttpError 400 for a sampler or a scheduler that is not there
 */
export function resolveSampler(body: {
  readonly sampler_name: string | null;
  readonly sampler_index: string | null;
  readonly scheduler: string | null;
}): SamplerChoice {
  const given = body.sampler_name || body.sampler_index || 'Euler';
  const whole = SAMPLERS.find(({ name }) => name === given);
  const suffixed = SCHEDULERS.flatMap(({ name, label, aliases }) =>
    [label, name, ...aliases].filter((end) => given.endsWith(` ${end}`)).map((end) => ({ name, end })),
  )[0];
  const base = suffixed === undefined ? given : given.slice(0, -suffixed.end.length - 1);
  const info = whole ?? SAMPLERS.find(({ name }) => name === base);
  if (info === undefined) throw new HttpError(400, 'Sampler not found');
  const fromName = whole === undefined ? suffixed?.name : undefined;
  if (fromName !== undefined) {
    const isOwn = fromName === info.automatic || info.automatic === undefined;
    return { sampler: info.name, scheduler: isOwn ? AUTOMATIC : fromName };
  }
  // Samplers that walk timesteps of their own take no notice of a schedule, in the webui as here.
  if (!body.scheduler || info.automatic === undefined) return { sampler: info.name, scheduler: AUTOMATIC };
  const scheduler = schedulerNamed(body.scheduler);
  if (scheduler === undefined) throw new HttpError(400, 'Scheduler not found');
  return { sampler: info.name, scheduler: scheduler.name };
}
