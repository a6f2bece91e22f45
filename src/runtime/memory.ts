import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FailureError } from '../request/errors.js';

/** What a run needs, in bytes. */
export interface MemoryNeed {
  /** Weights and arena at their largest. */
  readonly engineBytes: number;
  /** Weights that are in memory already. */
  readonly loadedBytes: number;
  /** Finished pictures, which stay until the end. */
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

/** What is still to be allocated, in bytes. */
function missingBytes(need: MemoryNeed): number {
  return Math.max(0, need.engineBytes - need.loadedBytes) + need.pictureBytes;
}

/** Whether a run fits; what is not known fits. */
export function hasRoom(need: MemoryNeed, available: number | undefined): boolean {
  return available === undefined || missingBytes(need) <= available;
}

/**
 * Refuses a run that cannot fit, before anything of it is allocated.
 * @param whatFits what would fit instead; asked only where the run does not
 * @throws FailureError E_OUT_OF_MEMORY with what is needed, what there is and what to do
 */
export function requireMemory(
  need: MemoryNeed,
  available: number | undefined,
  whatFits: (bytes: number) => string[],
): void {
  if (available === undefined || hasRoom(need, available)) return;
  throw new FailureError('E_OUT_OF_MEMORY', describeShortage(need, available, whatFits(available)));
}

/** "this needs 8.1 GB of memory and 4.0 GB is available; it would fit with …" */
export function describeShortage(need: MemoryNeed, available: number, fitting: readonly string[]): string {
  const shortage = `this needs ${formatBytes(missingBytes(need))} of memory and ${formatBytes(available)} is available`;
  const [first, ...more] = fitting;
  if (first === undefined)
    return `${shortage}, too little for any size: free memory, or take a smaller model or precision`;
  return `${shortage}; it would fit with ${[first, ...more].join(', or ')}`;
}
