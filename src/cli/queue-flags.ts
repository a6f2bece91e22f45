import type { Option } from 'commander';
import { textFlag } from './options.js';

/** The queue of a fleet, and what lies beside it. */
export function queueFlags(): Option[] {
  return [
    textFlag('--queue <url>', 'redis://host:port, or rediss://user:password@host:port/database; SDGEN_QUEUE hides it'),
    textFlag('--queue-ca <file>', "PEM of the CA that signed the queue's certificate"),
  ];
}
