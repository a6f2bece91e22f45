import { access, constants, stat } from 'node:fs/promises';
import { cpus } from 'node:os';
import { resolve } from 'node:path';
import { listCheckpoints } from '../checkpoints/find.js';
import { cacheFolder } from '../checkpoints/hash.js';
import { VERSION } from '../context/version.js';
import { encodePng } from '../image/codec.js';
import { loadAddon } from '../native/load.js';
import { resolveDevice } from '../runtime/device.js';
import { requireWritable } from '../runtime/file-sink.js';
import { availableMemory, formatBytes } from '../runtime/memory.js';
import { SAMPLERS } from '../sampling/samplers.js';
import { EXIT } from './failure.js';
import type { Flags } from './flags.js';
import { type Io, writeAll } from './io.js';
import { DEFAULT_FOLDER } from './options.js';
import { formatTable } from './report.js';
import { readCommandOptions } from './settings.js';

/** Below this even a small checkpoint has no room. */
const LITTLE_MEMORY = 500e6;
const OLDEST_NODE = [20, 20] as const;

interface Check {
  readonly name: string;
  /** A note is worth knowing and no fault. */
  readonly status: 'ok' | 'note' | 'fault';
  readonly detail: string;
}

type Finding = Omit<Check, 'name'>;

async function check(name: string, look: () => Promise<Finding> | Finding): Promise<Check> {
  try {
    return { name, ...(await look()) };
  } catch (error) {
    return { name, status: 'fault', detail: error instanceof Error ? error.message : String(error) };
  }
}

function checkNode(version: string): Finding {
  const [major = 0, minor = 0] = version.replace(/^v/, '').split('.').map(Number);
  const isOld = major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1]);
  return isOld
    ? { status: 'fault', detail: `${version}; install Node ${OLDEST_NODE.join('.')} or newer` }
    : { status: 'ok', detail: version };
}

async function checkEngine(io: Io): Promise<Finding> {
  const addon = await (io.addon ?? loadAddon)();
  const { version, devices, samplers, families } = addon.capabilities();
  const missing = SAMPLERS.filter((sampler) => !samplers.includes(sampler.id));
  if (missing.length > 0) {
    const names = missing.map((sampler) => sampler.id).join(', ');
    return { status: 'fault', detail: `version ${version} lacks the samplers ${names}; build it again: npm run build` };
  }
  const names = devices.map(({ name }) => name).join(', ');
  return { status: 'ok', detail: `version ${version}; devices ${names}; families ${families.join(', ')}` };
}

/** Which instruction set each device runs and why, and what "auto" takes. */
async function checkDevices(io: Io): Promise<Check[]> {
  const capabilities = (await (io.addon ?? loadAddon)()).capabilities();
  const auto = resolveDevice({ device: 'auto', precision: 'auto' }, capabilities);
  return capabilities.devices.map(({ name, precisions, isa, description, missing }) => {
    if (precisions.length === 0) return { name: 'device', status: 'note', detail: `${name}: ${missing}` };
    const parts = [`${name}: ${isa}, ${precisions.join(' and ')}; ${description}`];
    if (missing !== '') parts.push(`bf16 ${missing}`);
    if (name === auto.name) parts.push(`what auto takes, in ${auto.precision}`);
    return { name: 'device', status: 'ok', detail: parts.join('; ') };
  });
}

async function checkPictures(): Promise<Finding> {
  const png = await encodePng(new Uint8Array(3), 1, 1);
  return { status: 'ok', detail: `PNG encoder works (${png.length} bytes for one pixel)` };
}

function checkProcessor(): Finding {
  const all = cpus();
  return { status: 'ok', detail: `${all[0]?.model.trim() ?? 'unknown'}, ${all.length} threads` };
}

async function checkMemory(): Promise<Finding> {
  const available = await availableMemory();
  if (available === undefined) return { status: 'note', detail: 'the system does not say how much is available' };
  const text = `${formatBytes(available)} available`;
  return available < LITTLE_MEMORY
    ? { status: 'fault', detail: `${text}: too little` }
    : { status: 'ok', detail: text };
}

async function checkModels(folder: string): Promise<Finding> {
  const info = await stat(folder).catch(() => undefined);
  if (info === undefined) return { status: 'note', detail: `${folder} does not exist` };
  if (!info.isDirectory()) return { status: 'fault', detail: `${folder} is not a folder` };
  const count = (await listCheckpoints([folder])).filter(({ kind }) => kind === 'model').length;
  const isWritable = await access(folder, constants.W_OK).then(
    () => true,
    () => false,
  );
  const detail = `${folder}: ${count} ${count === 1 ? 'model' : 'models'}`;
  return isWritable ? { status: 'ok', detail } : { status: 'note', detail: `${detail}, not writable` };
}

async function checkWritable(folder: string | undefined): Promise<Finding> {
  if (folder === undefined) return { status: 'note', detail: 'there is none: neither XDG_CACHE_HOME nor HOME is set' };
  await requireWritable(folder);
  return { status: 'ok', detail: `${folder} can be written` };
}

/** @returns 0 when everything works, else 1 */
export async function runDoctor(flags: Flags, io: Io): Promise<number> {
  const { modelsDirs } = readCommandOptions(flags, io);
  const checks = [
    await check('node', () => checkNode(process.version)),
    await check('engine', () => checkEngine(io)),
    ...(await checkDevices(io).catch(() => [])), // an engine that cannot say is a fault already
    await check('pictures', checkPictures),
    await check('processor', checkProcessor),
    await check('memory', checkMemory),
    ...(await Promise.all(modelsDirs.map((folder) => check('models', () => checkModels(folder))))),
    await check('outputs', () => checkWritable(resolve(io.cwd, DEFAULT_FOLDER))),
    await check('cache', () => checkWritable(cacheFolder(io.env))),
  ];
  const ok = checks.every(({ status }) => status !== 'fault');
  const text =
    flags.values.json === true
      ? JSON.stringify({ version: VERSION, ok, checks }, null, 2)
      : formatTable([
          ['sdgen', 'ok', VERSION],
          ...checks.map(({ name, status, detail }) => [name, status === 'fault' ? 'FAULT' : status, detail]),
        ]);
  await writeAll(io.stdout, `${text}\n`);
  return ok ? EXIT.ok : EXIT.failure;
}
