import type { RunEvent } from '../runtime/processing-runner.js';
import { findSampler } from '../sampling/samplers.js';
import { findScheduler } from '../sampling/schedules.js';
import { warn } from './failure.js';
import type { Flags } from './flags.js';
import type { Io } from './io.js';

/** Says on stderr when a scheduler was asked for and the sampler takes none: as in the webui it then means nothing. */
export function tellIgnoredScheduler({ values: { scheduler } }: Flags, io: Io): (event: RunEvent) => void {
  return (event) => {
    if (event.type !== 'prepared' || typeof scheduler !== 'string') return;
    const { name, automatic } = findSampler(event.prepared.plan.sampler.id);
    const { name: asked, label } = findScheduler(scheduler);
    if (automatic !== undefined || asked === 'automatic') return;
    warn(io, `sampler "${name}" takes no schedule: scheduler "${label}" has no effect`);
  };
}
