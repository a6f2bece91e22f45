import type { Command, Option } from 'commander';
import { UsageError } from '../request/errors.js';
import { showValue } from '../request/show-value.js';
import { configPath, readConfig, settingFlags, settingName } from './config-file.js';
import type { Io } from './io.js';

/** Where a flag's value came from. */
export type Origin = 'flag' | 'env' | 'file' | 'default';

/** The values of a command's flags: flag > environment > settings file > default (undefined here; the schemas know it). */
export interface Flags {
  readonly values: Readonly<Record<string, unknown>>;
  readonly origins: Readonly<Record<string, Origin>>;
  /** A field as the user wrote it: `--cfg-scale`, or `SDGEN_CFG_SCALE` where the environment gave it. */
  readonly nameOf: (field: string) => string;
}

const TRUE = new Set(['1', 'true', 'yes', 'on']);
const FALSE = new Set(['', '0', 'false', 'no', 'off']);

/** SDGEN_CFG_SCALE for --cfg-scale. */
export function environmentName(option: Option): string {
  return `SDGEN_${(option.long ?? '').replace(/^--/, '').replaceAll('-', '_').toUpperCase()}`;
}

/** A flag's value as text outside of the command line; a switch is on or off. @throws UsageError naming `name` */
export function parseText(option: Option, text: string, name: string): unknown {
  if (option.isBoolean()) {
    const word = text.trim().toLowerCase();
    if (TRUE.has(word)) return true;
    if (FALSE.has(word)) return false;
    throw new UsageError(`${name} must be 1 or 0; ${showValue(text)} is not`);
  }
  return option.parseArg === undefined ? text : option.parseArg(text, undefined as never);
}

function programOf(command: Command): Command {
  return command.parent === null ? command : programOf(command.parent);
}

/**
 * Reads a parsed command's flags, and for those that are not given the environment, then the settings file.
 * @throws UsageError for what the environment or the file says wrongly
 */
export function readFlags(command: Command, env: Io['env']): Flags {
  const path = configPath(env);
  const settings = path === undefined ? {} : readConfig(path, settingFlags(programOf(command)));
  const values: Record<string, unknown> = {};
  const origins: Record<string, Origin> = {};
  const names: Record<string, string> = {};
  for (const option of command.options) {
    const field = option.attributeName();
    const text = env[environmentName(option)];
    if (command.getOptionValueSource(field) === 'cli') {
      values[field] = command.getOptionValue(field);
      origins[field] = 'flag';
    } else if (text !== undefined && (text !== '' || option.isBoolean())) {
      values[field] = parseText(option, text, environmentName(option));
      origins[field] = 'env';
    } else if (settings[field] !== undefined) {
      values[field] = settings[field];
      origins[field] = 'file';
      names[field] = `${path}: ${settingName(option)}`;
    } else {
      origins[field] = 'default';
    }
    names[field] ??= origins[field] === 'env' ? environmentName(option) : (option.long ?? field);
  }
  return { values, origins, nameOf: (field) => names[field] ?? field };
}

/** The fields of `keys` that are given. */
export function pick(values: Flags['values'], keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(keys.filter((key) => values[key] !== undefined).map((key) => [key, values[key]]));
}
