import { styleText } from 'node:util';
import { FailureError, UsageError } from '../request/errors.js';
import { hasColor, type Io, writeAll } from './io.js';

export const EXIT = { ok: 0, failure: 1, usage: 2, interrupted: 130, terminated: 143 } as const;

function oneLine(text: string): string {
  return text.replace(/\s*[\r\n]+\s*/g, ' ').trim();
}

/** The line a person reads. An error that nobody expected says so. */
export function messageOf(error: unknown): string {
  if (error instanceof UsageError || error instanceof FailureError) return oneLine(error.message);
  const text = error instanceof Error ? error.message : String(error);
  return `internal error: ${oneLine(text)}; run again with --debug for its place`;
}

export function exitCodeOf(error: unknown): number {
  return error instanceof UsageError || error instanceof FailureError ? error.exitCode : EXIT.failure;
}

/** Prints one line on stderr (with --debug the stack too) and gives the exit code. */
export async function reportError(error: unknown, io: Io, debug: boolean): Promise<number> {
  const label = hasColor(io.stderr, io.env) ? styleText('red', 'error:', { validateStream: false }) : 'error:';
  await writeAll(io.stderr, `${label} ${messageOf(error)}\n`);
  if (debug) await writeAll(io.stderr, `${describeStack(error)}\n`);
  return exitCodeOf(error);
}

function describeStack(error: unknown): string {
  const lines: string[] = [];
  for (let cause = error; cause !== undefined; cause = cause instanceof Error ? cause.cause : undefined) {
    lines.push(`${lines.length === 0 ? '' : 'caused by '}${cause instanceof Error ? cause.stack : String(cause)}`);
  }
  return lines.join('\n');
}

/** Looking for a model by its content can take long: which file is read just now. */
export function tellSearch(path: string, io: Io): void {
  io.stderr.write(`looking for the model: ${path}\n`);
}

/** A warning: the run goes on. */
export function warn(io: Io, message: string): void {
  io.stderr.write(`warning: ${oneLine(message)}\n`);
}
