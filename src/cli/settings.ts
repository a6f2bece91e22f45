import type { CommandOptions } from '../context/runtime-context.js';
import { commandOptionsSchema } from '../request/command-options.js';
import { resolveCommandOptions } from '../runtime/command-options.js';
import { type Flags, pick } from './flags.js';
import type { Io } from './io.js';

/**
 * The command options of a command's flags; those it does not have keep their defaults.
 * @throws UsageError
 */
export function readCommandOptions(flags: Flags, io: Io): CommandOptions {
  return resolveCommandOptions(pick(flags.values, Object.keys(commandOptionsSchema.shape)), io, flags.nameOf);
}
