import { UsageError } from '../request/errors.js';
import { didYouMean } from '../request/nearest.js';

/** Every schedule by name. */
export type SchedulerName =
  | 'automatic'
  | 'uniform'
  | 'karras'
  | 'exponential'
  | 'polyexponential'
  | 'sgm_uniform'
  | 'kl_optimal'
  | 'align_your_steps'
  | 'simple'
  | 'normal'
  | 'ddim'
  | 'beta'
  | 'turbo';

/** The one-line refusal of a name that is in no table: what resembles it, and what there is. */
export function unknownName(
  kind: 'sampler' | 'scheduler',
  text: string,
  known: readonly string[],
  field: string = kind,
): UsageError {
  // Comparing costs the product of both lengths, and no name is longer than this.
  const near = didYouMean(text.trim().slice(0, 64), known);
  return new UsageError(`unknown ${kind} ${quoted(text)}${near === '' ? ';' : near} known: ${known.join(', ')}`, field);
}

/** A stranger's word in an error message: one line, of bounded length. */
function quoted(text: string): string {
  return JSON.stringify(text.length > 64 ? `${text.slice(0, 61)}...` : text);
}
