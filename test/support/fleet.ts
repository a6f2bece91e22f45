import { spawn } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { NativeAddon } from '../../src/native/types.js';
import type { CliOutcome, CliSandbox } from './cli.js';

const BIN = fileURLToPath(new URL('../../bin/sdgen.mjs', import.meta.url));

/** What every small picture of these tests is made with. */
export const SMALL = [
  ...['-m', 'micro1', '--width', '64', '--height', '64', '--steps', '2', '--device', 'cpu', '--precision', 'fp32'],
  ...['--threads', '1'],
] as const;

export interface InProcessWorker {
  readonly ended: Promise<CliOutcome>;
  /** As SIGTERM: twice stops it at once. */
  drain(): void;
}

/** A worker of this process, in a sandbox with models. */
export function startWorker(
  sandbox: CliSandbox,
  queue: string,
  more: readonly string[] = [],
  addon?: NativeAddon,
  env: Record<string, string> = {},
): InProcessWorker {
  const signals = new EventEmitter();
  const argv = ['worker', '--queue', queue, '--device', 'cpu', '--threads', '1', '--lease', '2', ...more];
  const ended = sandbox.run(argv, { signals, addon, env });
  return { ended, drain: () => signals.emit('SIGTERM') };
}

export interface Child {
  readonly ended: Promise<{ readonly code: number | null; readonly out: string; readonly err: string }>;
  readonly pid: number;
  readonly errors: () => string;
  /** Its first line on stdout; rejects where it ends without one. */
  readonly firstLine: Promise<string>;
  signal(name: NodeJS.Signals): void;
}

/** A process of the compiled command line, which can be killed. */
export function startChild(cwd: string, argv: readonly string[], env: Record<string, string> = {}): Child {
  const own = { HOME: cwd, XDG_CONFIG_HOME: undefined, SDGEN_CONFIG: undefined };
  const child = spawn(process.execPath, [BIN, ...argv], { cwd, env: { ...process.env, ...own, ...env } });
  let out = '';
  let err = '';
  child.stdout.on('data', (data: Buffer) => {
    out += data;
  });
  child.stderr.on('data', (data: Buffer) => {
    err += data;
  });
  const ended = new Promise<{ code: number | null; out: string; err: string }>((resolve) => {
    child.on('close', (code) => resolve({ code, out, err }));
  });
  const firstLine = new Promise<string>((resolve, reject) => {
    child.stdout.on('data', () => {
      if (out.includes('\n')) resolve(out.slice(0, out.indexOf('\n')));
    });
    child.on('close', (code) => reject(new Error(`it ended with ${code} before it said anything: ${err}`)));
  });
  firstLine.catch(() => undefined); // not everybody waits for it
  return { ended, firstLine, pid: child.pid ?? 0, errors: () => err, signal: (name) => child.kill(name) };
}
