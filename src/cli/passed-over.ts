import type { RunEvent } from '../runtime/processing-runner.js';
import { warn } from './failure.js';
import type { Io } from './io.js';

/** Says on stderr when "auto" could not take a device that this build has, and what it took. */
export function tellPassedOver(io: Io): (event: RunEvent) => void {
  return (event) => {
    if (event.type !== 'prepared') return;
    const { name, passedOver } = event.prepared.context.device;
    if (passedOver !== undefined) warn(io, `${passedOver}; computing on ${name}`);
  };
}
