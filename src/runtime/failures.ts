import { NATIVE_ERROR_CODES } from '../native/types.js';
import { FailureError, UsageError } from '../request/errors.js';

/** The code of an error of the native engine, and nothing for any other. */
export function nativeCode(error: unknown): string | undefined {
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
  return NATIVE_ERROR_CODES.find((known) => known === code);
}

/** Whether an error is the answer to an abort of the signal. */
export function isCancellation(error: unknown, signal: AbortSignal | undefined): boolean {
  if (signal?.aborted !== true) return false;
  return error === signal.reason || nativeCode(error) === 'E_CANCELLED';
}

/**
 * An error of the engine, or an abort, as the failure that callers know; usage errors, failures and defects stay as
 * they are.
 */
export function asFailure(error: unknown, signal?: AbortSignal): unknown {
  if (isCancellation(error, signal)) return new FailureError('E_CANCELLED', 'the run was cancelled', { cause: error });
  if (error instanceof UsageError || error instanceof FailureError) return error;
  const code = nativeCode(error);
  if (code === undefined || !(error instanceof Error)) return error;
  return new FailureError(code, error.message, { cause: error });
}
