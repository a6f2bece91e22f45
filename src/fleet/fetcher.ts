import { Worker } from 'bullmq';

/**
 * BullMQ's worker for tasks that are fetched one by one, from several queues in turn: without the connection of its own
 * on which it would block. It looks for tasks whose workers were lost, as every worker of the queue does.
 */
export class Fetcher extends Worker {
  protected override createBackend(): void {
    this.backend = this.backendFactory(this.name, this.opts, {});
  }
}
