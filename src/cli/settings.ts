import { isAbsolute, join, resolve } from 'node:path';
import type { CommandOptions } from '../context/runtime-context.js';
import { commandOptionsSchema } from '../request/command-options.js';
import { parseWith } from '../request/describe.js';
import { type Flags, pick } from './flags.js';
import type { Io } from './io.js';

/** Where models are looked for: ./models and the user's data folder, unless told. */
export function modelsFolders(given: readonly string[] | undefined, io: Io): string[] {
  if (given !== undefined) return given.map((folder) => (isAbsolute(folder) ? folder : resolve(io.cwd, folder)));
  const { XDG_DATA_HOME, HOME } = io.env;
  const data = XDG_DATA_HOME || (HOME ? join(HOME, '.local', 'share') : undefined);
  return [resolve(io.cwd, 'models'), ...(data === undefined ? [] : [join(data, 'sdgen', 'models')])];
}

/**
 * The command options of a command's flags; those it does not have keep their defaults.
 * @throws UsageError
 */
export function readCommandOptions(flags: Flags, io: Io): CommandOptions {
  const given = pick(flags.values, Object.keys(commandOptionsSchema.shape));
  const options = parseWith(commandOptionsSchema, given, flags.nameOf);
  const { predictionType, textHeads, unetHeads, scaleFactor } = options;
  return Object.freeze({
    model: options.model,
    modelsDirs: Object.freeze(modelsFolders(options.modelsDir, io)),
    cwd: io.cwd,
    device: options.device,
    precision: options.precision,
    threads: options.threads ?? 0,
    overrides: Object.freeze({
      ...(predictionType === undefined ? {} : { predictionType }),
      ...(textHeads === undefined ? {} : { textHeads }),
      ...(unetHeads === undefined ? {} : { unetHeads }),
      ...(scaleFactor === undefined ? {} : { scaleFactor }),
    }),
  });
}
