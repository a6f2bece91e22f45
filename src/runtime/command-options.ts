import { isAbsolute, join, resolve } from 'node:path';
import type { CommandOptions } from '../context/runtime-context.js';
import { type CommandOptionsInput, commandOptionsSchema } from '../request/command-options.js';
import { type FieldNaming, parseWith } from '../request/describe.js';

/** What of the surroundings decides where things are looked for. */
export interface Place {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Where models are looked for: ./models and the user's data folder, unless told. */
export function modelsFolders(given: readonly string[] | undefined, { cwd, env }: Place): string[] {
  if (given !== undefined) return given.map((folder) => (isAbsolute(folder) ? folder : resolve(cwd, folder)));
  const { XDG_DATA_HOME, HOME } = env;
  const data = XDG_DATA_HOME || (HOME ? join(HOME, '.local', 'share') : undefined);
  return [resolve(cwd, 'models'), ...(data === undefined ? [] : [join(data, 'sdgen', 'models')])];
}

/**
 * What a process or a call is started with, defaults filled in.
 * @throws UsageError
 */
export function resolveCommandOptions(input: CommandOptionsInput, place: Place, naming?: FieldNaming): CommandOptions {
  const options = parseWith(commandOptionsSchema, input, naming);
  const { predictionType, textHeads, unetHeads, scaleFactor, zeroTerminalSnr, vae } = options;
  return Object.freeze({
    model: options.model,
    ...(vae === undefined ? {} : { vae }),
    modelsDirs: Object.freeze(modelsFolders(options.modelsDir, place)),
    stylesFiles: options.stylesFile?.map((file) => resolve(place.cwd, file)),
    cwd: place.cwd,
    device: options.device,
    precision: options.precision,
    threads: options.threads ?? 0,
    overrides: Object.freeze({
      ...(predictionType === undefined ? {} : { predictionType }),
      ...(textHeads === undefined ? {} : { textHeads }),
      ...(unetHeads === undefined ? {} : { unetHeads }),
      ...(scaleFactor === undefined ? {} : { scaleFactor }),
      ...(zeroTerminalSnr === undefined ? {} : { zeroTerminalSnr }),
    }),
  });
}
