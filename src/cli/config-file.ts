import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command, Option } from 'commander';
import { FailureError, UsageError } from '../request/errors.js';
import { didYouMean } from '../request/nearest.js';
import { showValue } from '../request/show-value.js';
import type { Io } from './io.js';

/** A larger one is no settings file. */
const MAX_BYTES = 1 << 20;

/** Flags of txt2img that say what one run does, not how a person likes theirs. */
const NOT_SETTINGS = new Set(['noHires', 'prompt', 'from', 'plan', 'force', 'json', 'dryRun', 'profile', 'debug']);

/** "cfg-scale": a setting is called as its flag. */
export function settingName(flag: Option): string {
  return (flag.long ?? '').replace(/^--/, '');
}

/** The flags that can be kept in a settings file: those of txt2img, which other commands share, less a few. */
export function settingFlags(program: Command): Option[] {
  const command = program.commands.find((one) => one.name() === 'txt2img');
  return (command?.options ?? []).filter((option) => !NOT_SETTINGS.has(option.attributeName()));
}

/** The flag of a setting, which is called as it. @throws UsageError for what is none */
export function settingFlag(name: string, flags: readonly Option[], where = ''): Option {
  const named = flags.map(settingName);
  const flag = flags[named.indexOf(name)];
  if (flag !== undefined) return flag;
  const near = didYouMean(name.slice(0, 64), named);
  throw new UsageError(`${where}${showValue(name)} is not a setting${near === '' ? '; see sdgen config list' : near}`);
}

/** Where settings lie: SDGEN_CONFIG, else sdgen/config.json in the user's configuration folder; undefined without a home. */
export function configPath(env: Io['env']): string | undefined {
  if (env.SDGEN_CONFIG) return resolve(env.SDGEN_CONFIG);
  const folder = env.XDG_CONFIG_HOME || (env.HOME ? join(env.HOME, '.config') : undefined);
  return folder === undefined ? undefined : join(folder, 'sdgen', 'config.json');
}

function readText(path: string): string | undefined {
  try {
    const bytes = readFileSync(path);
    if (bytes.length > MAX_BYTES) throw new UsageError(`${path}: ${bytes.length} bytes are too many for settings`);
    return bytes.toString('utf8');
  } catch (error) {
    const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    if (error instanceof UsageError) throw error;
    throw new FailureError('E_IO', `cannot read ${path}: ${error instanceof Error ? error.message : error}`);
  }
}

/** The object in a settings file, by setting's name, unchecked; empty where there is no file. @throws UsageError */
export function readConfigObject(path: string): Record<string, unknown> {
  const text = readText(path);
  if (text === undefined || text.trim() === '') return {};
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    throw new UsageError(`${path}: not JSON: ${error instanceof Error ? error.message : error}`);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  throw new UsageError(`${path}: settings are one JSON object of names and values, not ${showValue(value)}`);
}

/**
 * The settings of a file by field. What a value may be is checked where it is used, by the schema of the request, so
 * that no command loads schemas for a file alone; here only that switches are on or off and nothing else is.
 * @throws UsageError naming file and setting
 */
export function readConfig(path: string, flags: readonly Option[]): Record<string, unknown> {
  const settings = Object.entries(readConfigObject(path)).map(([name, value]) => {
    const flag = settingFlag(name, flags, `${path}: `);
    if ((typeof value === 'boolean') !== flag.isBoolean()) {
      const wanted = flag.isBoolean() ? 'true or false' : 'a value as the flag takes it';
      throw new UsageError(`${path}: ${name} must be ${wanted}; ${showValue(value)} is not`);
    }
    return [flag.attributeName(), value];
  });
  return Object.fromEntries(settings);
}
