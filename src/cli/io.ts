import type { NativeAddon } from '../native/types.js';

/** A terminal, a pipe or a test's buffer. */
export type OutputStream = NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };

/** Where signals come from: the process, or a test. */
export interface SignalSource {
  on(signal: 'SIGINT' | 'SIGTERM', listener: () => void): unknown;
  off(signal: 'SIGINT' | 'SIGTERM', listener: () => void): unknown;
}

/** Everything the command line touches of the outside, so that it can run inside another process. */
export interface Io {
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  /** What is piped in; nothing where absent. */
  readonly stdin?: AsyncIterable<Uint8Array | string> | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly signals: SignalSource;
  /** The engine; the package's own addon unless told otherwise. */
  readonly addon?: (() => Promise<NativeAddon>) | undefined;
}

export function processIo(): Io {
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    // Only a command that reads it opens it.
    get stdin() {
      return process.stdin;
    },
    env: process.env,
    cwd: process.cwd(),
    signals: process,
  };
}

/** Writes and waits until the stream has taken it. */
export function writeAll(stream: OutputStream, data: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(data, (error?: Error | null) => (error ? reject(error) : resolve()));
  });
}

/** Whether escape sequences may be written: a terminal, and nobody said no. */
export function hasColor(stream: OutputStream, env: Io['env']): boolean {
  return stream.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb';
}

/** Gets the exit code of the command that ran. */
export type Finish = (code: number) => void;
