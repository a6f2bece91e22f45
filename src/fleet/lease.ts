import type { Job } from 'bullmq';

/**
 * Holds a task for as long as it is worked on: BullMQ gives it to another worker when it is not extended for `leaseMs`.
 */
export class Lease {
  readonly #timer: NodeJS.Timeout;
  #ended = false;
  /** Whether another worker may have the task by now. */
  lost = false;

  /** @param onLost the lease could not be extended */
  constructor(job: Job, token: string, leaseMs: number, onLost: () => void) {
    const extend = async (): Promise<void> => {
      // A queue that cannot be asked may be back before the lease is over; if it is not, the task's end will tell.
      const extended = await job.extendLock(token, leaseMs).catch(() => undefined);
      if (extended !== 0 || this.#ended) return;
      this.lost = true;
      this.end();
      onLost();
    };
    this.#timer = setInterval(() => void extend(), leaseMs / 3);
  }

  end(): void {
    this.#ended = true;
    clearInterval(this.#timer);
  }
}
