import type { z } from 'zod';
import type { FieldNaming } from '../request/describe.js';

/** What a request asks of the machine's time, as far as it is known without its model. */
export interface Workload {
  readonly steps: number;
  /** Pixels of all pictures together. */
  readonly pixels: number;
}

/** A kind of request that a line may be. A new kind is one more row of KINDS. */
export interface RequestKind {
  readonly name: string;
  readonly schema: z.ZodObject;
  /** Fields that only it has: a line with one of them is of this kind. */
  readonly marks: readonly string[];
  /** @throws UsageError for what is wrong in itself */
  readonly check: (fields: unknown, naming: FieldNaming) => Workload;
  /**
   * What the runner takes.
   * @param cwd where relative paths start
   * @param notes gets lines for people, about what of a file is left out
   * @throws FailureError for a file that cannot be read
   */
  readonly toInput: (fields: Readonly<Record<string, unknown>>, cwd: string, notes: string[]) => unknown;
}
