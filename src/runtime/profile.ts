import type { OpProfile } from '../native/types.js';

/** A kind of op over a whole run. */
export interface ProfileRow extends OpProfile {
  /** Of the time of all ops, 0 … 1. */
  readonly share: number;
  readonly gflops: number;
}

/** Adds up the profiles of a run's calls, one row for each kind of op in each part. */
export class ProfileSum {
  readonly #rows = new Map<string, OpProfile>();

  add(rows: readonly OpProfile[]): void {
    for (const row of rows) {
      const key = `${row.part} ${row.op}`;
      const old = this.#rows.get(key);
      this.#rows.set(key, {
        part: row.part,
        op: row.op,
        calls: row.calls + (old?.calls ?? 0),
        seconds: row.seconds + (old?.seconds ?? 0),
        flops: row.flops + (old?.flops ?? 0),
        bytes: row.bytes + (old?.bytes ?? 0),
      });
    }
  }

  /** Slowest first. */
  rows(): ProfileRow[] {
    const rows = [...this.#rows.values()];
    const total = rows.reduce((sum, row) => sum + row.seconds, 0);
    return rows
      .map((row) => ({
        ...row,
        share: total === 0 ? 0 : row.seconds / total,
        gflops: row.seconds === 0 ? 0 : row.flops / (row.seconds * 1e9),
      }))
      .sort((a, b) => b.seconds - a.seconds);
  }
}
