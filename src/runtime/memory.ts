import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DeviceMemory } from '../native/types.js';
import { FailureError } from '../request/errors.js';

/** What a run needs, in bytes. */
export interface MemoryNeed {
  /** Weights and arena at their largest. */
  readonly engineBytes: number;
  /** Weights that are in memory already. */
  readonly loadedBytes: number;
  /** Finished pictures, which stay until the end, and those on their way. */
  readonly pictureBytes: number;
}

async function readText(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined); // absent on systems without it
}

async function readNumber(path: string): Promise<number | undefined> {
  const text = (await readText(path))?.trim();
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

function field(text: string | undefined, pattern: RegExp): number | undefined {
  const match = text === undefined ? null : pattern.exec(text);
  return match?.[1] === undefined ? undefined : Number(match[1]);
}

/** Free bytes below one control group's limit; the page cache counts as free, since the kernel gives it up first. */
async function groupRoom(folder: string, limitFile: string, usageFile: string, stat: RegExp) {
  const limit = await readNumber(join(folder, limitFile));
  const usage = await readNumber(join(folder, usageFile));
  if (limit === undefined || usage === undefined) return undefined;
  const cache = field(await readText(join(folder, 'memory.stat')), stat) ?? 0;
  return Math.max(0, limit - usage + cache);
}

/** The process's groups, from its own up to the root: each may set a limit. */
function ancestors(root: string, group: string): string[] {
  const parts = group.split('/').filter((part) => part !== '' && part !== '..');
  return Array.from({ length: parts.length + 1 }, (_, n) => join(root, ...parts.slice(0, parts.length - n)));
}

/**
 * Bytes that can still be used: the least of the system's MemAvailable and the room below every control-group limit.
 * @param root where /proc and /sys are
 * @returns undefined where the system does not say
 */
export async function availableMemory(root = '/'): Promise<number | undefined> {
  const kilobytes = field(await readText(join(root, 'proc/meminfo')), /^MemAvailable:\s+(\d+) kB/m);
  const groups = (await readText(join(root, 'proc/self/cgroup'))) ?? '';
  const two = /^0::(.*)$/m.exec(groups)?.[1] ?? '/';
  const one = /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(.*)$/m.exec(groups)?.[1] ?? '/';
  const rooms = await Promise.all([
    ...ancestors(join(root, 'sys/fs/cgroup'), two).map((folder) =>
      groupRoom(folder, 'memory.max', 'memory.current', /^inactive_file (\d+)$/m),
    ),
    ...ancestors(join(root, 'sys/fs/cgroup/memory'), one).map((folder) =>
      groupRoom(folder, 'memory.limit_in_bytes', 'memory.usage_in_bytes', /^total_inactive_file (\d+)$/m),
    ),
  ]);
  const known = [kilobytes === undefined ? undefined : kilobytes * 1024, ...rooms].filter((room) => room !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}

/** "1.5 GB", in powers of ten. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  const power = bytes < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  return `${power === 0 ? bytes : (bytes / 1000 ** power).toFixed(1)} ${units[power]}`;
}

/** Bytes that can still be used; undefined where that is not known. */
export interface Room {
  readonly host: number | undefined;
  /** Of the device that computes, where it has memory of its own: weights and arena are there, and pictures on the host. */
  readonly device?: { readonly name: string; readonly free: number } | undefined;
}

interface Share {
  readonly bytes: number;
  readonly available: number | undefined;
  /** Whose memory it is; undefined: the host's. */
  readonly device: string | undefined;
}

/** What is still to be allocated, and where. */
export function missingShares({ engineBytes, loadedBytes, pictureBytes }: MemoryNeed, { host, device }: Room): Share[] {
  const engine = Math.max(0, engineBytes - loadedBytes);
  if (device === undefined) return [{ bytes: engine + pictureBytes, available: host, device: undefined }];
  return [
    { bytes: engine, available: device.free, device: device.name },
    { bytes: pictureBytes, available: host, device: undefined },
  ];
}

const isShort = ({ bytes, available }: Share): boolean => available !== undefined && bytes > available;

/** Whether a run fits; what is not known fits. */
export function hasRoom(need: MemoryNeed, room: Room): boolean {
  return !missingShares(need, room).some(isShort);
}

/**
 * Refuses a run that cannot fit, before anything of it is allocated.
 * @param whatFits what would fit instead; asked only where the run does not
 * @throws FailureError E_OUT_OF_MEMORY with what is needed, what there is and what to do
 */
export function requireMemory(need: MemoryNeed, room: Room, whatFits: (room: Room) => string[]): void {
  const short = missingShares(need, room).find(isShort);
  if (short !== undefined) throw new FailureError('E_OUT_OF_MEMORY', describeShortage(short, whatFits(room)));
}

/** "this needs 8.1 GB of memory on cuda and 4.0 GB is available; it would fit with …" */
function describeShortage({ bytes, available, device }: Share, fitting: readonly string[]): string {
  const there = formatBytes(available ?? 0);
  const where = device === undefined ? '' : ` on ${device}`;
  const shortage = `this needs ${formatBytes(bytes)} of memory${where} and ${there} is available`;
  const [first, ...more] = fitting;
  if (first === undefined)
    return `${shortage}, too little for any size: free memory, or take a smaller model or precision`;
  return `${shortage}; it would fit with ${[first, ...more].join(', or ')}`;
}

/** The room of a run on a device. @param memory of the devices that have their own; it may fail, and nothing is known then */
export async function roomOn(
  device: string,
  available: () => Promise<number | undefined>,
  memory: (() => Promise<readonly DeviceMemory[]>) | undefined,
): Promise<Room> {
  const host = await available();
  // A thread of the engine's answers: only where there can be something to tell.
  if (memory === undefined || !device.startsWith('cuda')) return { host };
  const rows = await memory().catch(() => []);
  const own = rows.find(({ name }) => name === device);
  return own === undefined ? { host } : { host, device: { name: device, free: own.freeBytes } };
}
