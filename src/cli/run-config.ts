import { delimiter, dirname } from 'node:path';
import type { Option } from 'commander';
import { makeFolder, writeFileAtomic } from '../image/atomic-write.js';
import { FailureError, UsageError } from '../request/errors.js';
import { findSampler } from '../sampling/samplers.js';
import { findScheduler } from '../sampling/schedules.js';
import { configPath, readConfigObject, settingFlag, settingName } from './config-file.js';
import { EXIT } from './failure.js';
import { type Flags, type Origin, parseText } from './flags.js';
import { type Io, writeAll } from './io.js';
import { formatTable } from './report.js';
import { checkSetting, settingDefault } from './setting-rules.js';

interface Setting {
  readonly name: string;
  readonly value: unknown;
  readonly origin: Origin;
}

function requirePath(io: Io): string {
  const path = configPath(io.env);
  if (path === undefined) throw new FailureError('E_IO', 'there is no place for settings: set HOME or SDGEN_CONFIG');
  return path;
}

function settingOf(option: Option, { values, origins, nameOf }: Flags): Setting {
  const field = option.attributeName();
  const given = values[field];
  const value = given === undefined ? settingDefault(field) : checkSetting(field, given, nameOf(field));
  return { name: settingName(option), value, origin: origins[field] ?? 'default' };
}

/** As the flag takes it. */
function plain({ name, value }: Pick<Setting, 'name' | 'value'>): string {
  return Array.isArray(value) ? value.join(name === 'models-dir' ? delimiter : ',') : String(value);
}

/** "file ~/.config/sdgen/config.json", "SDGEN_STEPS": what to change to change the setting. */
function placeOf({ name, origin }: Setting, io: Io): string {
  if (origin === 'file') return `file ${configPath(io.env)}`;
  if (origin === 'env') return `environment SDGEN_${name.replaceAll('-', '_').toUpperCase()}`;
  return origin === 'flag' ? `flag --${name}` : 'default';
}

/** @returns the exit code */
export async function listConfig(options: readonly Option[], flags: Flags, io: Io): Promise<number> {
  const settings = options
    .map((option) => settingOf(option, flags))
    .filter(({ value }) => value !== undefined)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  if (flags.values.json === true) {
    const shown = settings.map(({ name, value, origin }) => [name, { value, origin }]);
    const document = { file: configPath(io.env) ?? null, settings: Object.fromEntries(shown) };
    await writeAll(io.stdout, `${JSON.stringify(document, null, 2)}\n`);
    return EXIT.ok;
  }
  const rows = settings.map((setting) => {
    const line = `${setting.name}=${plain(setting)}`;
    return flags.values.showOrigin === true ? [placeOf(setting, io), line] : [line];
  });
  await writeAll(io.stdout, `${formatTable(rows)}\n`);
  return EXIT.ok;
}

/** @returns 1 where nothing is set, as git does */
export async function getConfig(name: string, options: readonly Option[], flags: Flags, io: Io): Promise<number> {
  const setting = settingOf(settingFlag(name, options), flags);
  if (setting.value === undefined) return EXIT.failure;
  await writeAll(io.stdout, `${plain(setting)}\n`);
  return EXIT.ok;
}

async function write(path: string, settings: object): Promise<void> {
  await makeFolder(dirname(path));
  await writeFileAtomic(path, Buffer.from(`${JSON.stringify(settings, null, 2)}\n`), { force: true });
}

/** @returns the exit code */
export async function setConfig(name: string, text: string, options: readonly Option[], io: Io): Promise<number> {
  const path = requirePath(io);
  const option = settingFlag(name, options);
  const field = option.attributeName();
  const value = checkSetting(field, parseText(option, text, name), name);
  if (field === 'sampler') findSampler(String(value));
  if (field === 'scheduler') findScheduler(String(value));
  await write(path, { ...readConfigObject(path), [name]: value });
  return EXIT.ok;
}

/** @returns the exit code; throws UsageError where the file has no such setting. One that is wrong can go, too. */
export async function unsetConfig(name: string, io: Io): Promise<number> {
  const path = requirePath(io);
  const { [name]: old, ...rest } = readConfigObject(path);
  if (old === undefined) throw new UsageError(`${path} has no setting ${JSON.stringify(name)}`);
  await write(path, rest);
  return EXIT.ok;
}

/** @returns the exit code */
export async function printConfigPath(io: Io): Promise<number> {
  await writeAll(io.stdout, `${requirePath(io)}\n`);
  return EXIT.ok;
}
