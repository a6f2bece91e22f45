import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { GenerationResult } from '../runtime/finalize.js';
import { PHASES } from '../runtime/metrics.js';
import type { Job } from './job-store.js';

const SECONDS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500];

/** What `/metrics` tells, of one server. */
export class ServerMetrics {
  readonly registry = new Registry();
  readonly #jobs: Counter;
  readonly #pictures: Counter;
  readonly #steps: Counter;
  readonly #waited: Histogram;
  readonly #phases: Histogram;
  readonly #requests: Histogram;

  /** @param queued how many jobs wait or run now */
  constructor(queued: () => number) {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    new Gauge({
      name: 'sdgen_jobs_open',
      help: 'Jobs that wait or run',
      registers,
      collect() {
        this.set(queued());
      },
    });
    this.#jobs = new Counter({
      name: 'sdgen_jobs_total',
      help: 'Jobs that ended',
      labelNames: ['kind', 'outcome'],
      registers,
    });
    this.#pictures = new Counter({ name: 'sdgen_pictures_total', help: 'Pictures made', registers });
    this.#steps = new Counter({
      name: 'sdgen_steps_total',
      help: 'Sampler steps completed, batch by batch',
      registers,
    });
    this.#waited = new Histogram({
      name: 'sdgen_job_wait_seconds',
      help: 'Time from arrival to computing',
      buckets: SECONDS,
      registers,
    });
    this.#phases = new Histogram({
      name: 'sdgen_phase_seconds',
      help: 'Time of each phase of a job',
      labelNames: ['phase'],
      buckets: SECONDS,
      registers,
    });
    this.#requests = new Histogram({
      name: 'sdgen_http_request_seconds',
      help: 'Time of HTTP requests by route and status',
      labelNames: ['method', 'route', 'status'],
      buckets: SECONDS,
      registers,
    });
  }

  jobEnded({ kind, outcome, created, started }: Job): void {
    this.#jobs.inc({ kind, outcome: outcome ?? 'failed' });
    if (started !== undefined) this.#waited.observe((started.getTime() - created.getTime()) / 1000);
  }

  runDone({ images, times, prepared }: GenerationResult): void {
    this.#pictures.inc(images.length);
    this.#steps.inc(prepared.plan.steps * prepared.plan.batches.length);
    for (const phase of PHASES) this.#phases.observe({ phase }, times[phase]);
  }

  /** @param route its pattern, not the path: paths of strangers would be labels without end */
  requestDone(method: string, route: string, status: number, seconds: number): void {
    this.#requests.observe({ method, route, status: String(status) }, seconds);
  }
}
