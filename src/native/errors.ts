import { NATIVE_ERROR_CODES, type NativeErrorCode } from './types.js';

/** A failure of the native engine, or of loading it. */
export class NativeError extends Error {
  readonly code: NativeErrorCode;

  constructor(code: NativeErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'NativeError';
    this.code = code;
  }
}

/** The code of an error that came out of the addon. */
function codeOf(thrown: unknown): NativeErrorCode | undefined {
  const code: unknown = thrown instanceof Error ? Reflect.get(thrown, 'code') : undefined;
  return NATIVE_ERROR_CODES.find((known) => known === code);
}

/**
 * What the addon threw, as a NativeError. Its own stack ends at the event loop; that of `caller`, an Error made where
 * the call began, takes its place. What carries no code of ours is a defect: E_INTERNAL, with the thing as its cause.
 */
export function toNativeError(thrown: unknown, caller: Error): NativeError {
  if (thrown instanceof NativeError) return thrown;
  const code = codeOf(thrown);
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const error = new NativeError(code ?? 'E_INTERNAL', message, { cause: thrown });
  const frames = caller.stack?.split('\n').filter((line) => /^\s+at /.test(line)) ?? [];
  error.stack = [`${error.name} [${error.code}]: ${message}`, ...frames].join('\n');
  return error;
}
