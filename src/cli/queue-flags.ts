import type { Option } from 'commander';
import { textFlag } from './options.js';

/** The queue of a fleet, and what lies beside it. */
export function queueFlags(): Option[] {
  return [
    textFlag('--queue <url>', 'redis://host:port, or rediss://user:password@host:port/database; SDGEN_QUEUE hides it'),
    textFlag('--queue-ca <file>', "PEM of the CA that signed the queue's certificate"),
  ];
}

/** Where results lie instead of in the queue. */
export function storeFlag(): Option {
  return textFlag(
    '--store <place>',
    'results in a folder that all sides share, or s3://bucket/prefix (default: the queue)',
  );
}

/** How far workers are trusted. */
export function auditFlag(): Option {
  return textFlag('--audit <share>', 'have e.g. 5% of the fp32 plans made again by another worker, and compare', '0%');
}
