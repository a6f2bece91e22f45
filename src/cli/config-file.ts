import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command, Option } from 'commander';
import { z } from 'zod';
import { optionsSchema } from '../context/options.js';
import { commandOptionsSchema } from '../request/command-options.js';
import { parseWith } from '../request/describe.js';
import { FailureError, UsageError } from '../request/errors.js';
import { didYouMean } from '../request/nearest.js';
import { showValue } from '../request/show-value.js';
import { textToImageSchema } from '../request/txt2img.js';
import type { Io } from './io.js';

/** A larger one is no settings file. */
const MAX_BYTES = 1 << 20;

const onOff = () => z.boolean().describe('true or false');

/** Fields of a request that say what one picture is, not how a person likes theirs. */
const NOT_SETTINGS = ['prompt'];

function settingFields(): Record<string, z.ZodType> {
  const fields = {
    ...optionsSchema.shape,
    ...textToImageSchema.shape,
    ...commandOptionsSchema.shape,
    output: z.string().min(1).describe('a file, a folder or -'),
    quiet: onOff(),
    show: onOff(),
  };
  return Object.fromEntries(Object.entries(fields).filter(([field]) => !NOT_SETTINGS.includes(field)));
}

/** "cfg-scale" for "cfgScale": a setting is called as its flag. */
export function settingName(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** Everything that a flag may keep in a settings file, by field; each checked as where it is used. */
const FIELDS: ReadonlyMap<string, z.ZodType> = new Map(Object.entries(settingFields()));

/** The flags, of any command, that can be kept: a setting without a flag would never be read. */
export function settingFlags(program: Command): Option[] {
  const found = new Map<string, Option>();
  for (const command of program.commands) {
    for (const option of [...command.options, ...settingFlags(command)]) {
      const field = option.attributeName();
      if (FIELDS.has(field) && !found.has(field)) found.set(field, option);
    }
  }
  return [...found.values()];
}

/** The field of a setting, which is called as its flag. @throws UsageError for what is none */
export function settingField(name: string, flags: readonly Option[], where = ''): string {
  const fields = flags.map((flag) => flag.attributeName());
  const field = fields.find((one) => settingName(one) === name);
  if (field !== undefined) return field;
  const near = didYouMean(name.slice(0, 64), fields.map(settingName));
  throw new UsageError(`${where}${showValue(name)} is not a setting${near === '' ? '; see sdgen config list' : near}`);
}

/** A value for one setting, checked. @throws UsageError naming `name` */
export function checkSetting(field: string, value: unknown, name: string): unknown {
  const rule = FIELDS.get(field);
  if (rule === undefined) throw new TypeError(`no setting ${field}`);
  return parseWith(z.object({ [field]: rule }), { [field]: value }, () => name)[field];
}

/** The default of a setting; undefined where something else decides. */
export function settingDefault(field: string): unknown {
  const found = FIELDS.get(field)?.safeParse(undefined);
  return found?.success ? found.data : undefined;
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

/** The settings of a file by field, checked. @throws UsageError naming file and setting */
export function readConfig(path: string, flags: readonly Option[]): Record<string, unknown> {
  const settings = Object.entries(readConfigObject(path)).map(([name, value]) => {
    const field = settingField(name, flags, `${path}: `);
    return [field, checkSetting(field, value, `${path}: ${name}`)];
  });
  return Object.fromEntries(settings);
}
