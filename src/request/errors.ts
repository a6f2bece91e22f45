/** The two kinds of error a person can cause or meet; anything else that escapes is a defect. */

/** A request that is wrong in itself: exit code 2. */
export class UsageError extends Error {
  readonly exitCode = 2;
  /** The flag or field at fault, e.g. "width", where there is one. */
  readonly field: string | undefined;

  constructor(message: string, field?: string) {
    super(message);
    this.name = 'UsageError';
    this.field = field;
  }
}

/** A right request that could not be carried out: exit code 1. */
export class FailureError extends Error {
  readonly exitCode = 1;
  /** Stable, e.g. "E_IO" or a code of the native engine. */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'FailureError';
    this.code = code;
  }
}
