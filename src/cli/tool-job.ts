import type { NativeJob } from '../native/types.js';
import { FailureError, UsageError } from '../request/errors.js';
import { asFailure } from '../runtime/failures.js';
import { Interrupt } from './interrupt.js';
import type { Io } from './io.js';

/**
 * Runs a call of the addon that needs no open model; Ctrl-C cancels it.
 * @param finish gets what came out and gives the exit code
 * @returns the exit code; throws UsageError and FailureError
 */
export async function runToolJob<T>(
  io: Io,
  start: () => NativeJob<T>,
  finish: (value: T) => Promise<number>,
): Promise<number> {
  const interrupt = new Interrupt(io);
  try {
    const job = start();
    interrupt.signal.addEventListener('abort', () => job.cancel());
    return await finish(await job.promise);
  } catch (error) {
    if (interrupt.exitCode !== undefined) return interrupt.exitCode;
    const failure = asFailure(error, interrupt.signal);
    // Names of parts, architectures and devices are the engine's to know: what it refuses was asked wrongly.
    const isUsage = failure instanceof FailureError && ['E_INVALID_ARGUMENT', 'E_DEVICE'].includes(failure.code);
    throw isUsage ? new UsageError(failure.message) : failure;
  } finally {
    interrupt.release();
  }
}
