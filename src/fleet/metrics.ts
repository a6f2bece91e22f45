import { Gauge, type Registry } from 'prom-client';
import { WORKER_STATES } from './registry.js';
import type { FleetStatus } from './status.js';

type Set = (labels: Record<string, string>, value: number) => void;

/** A gauge a line: name, what it tells, its labels, how a status fills it. */
const GAUGES: readonly (readonly [string, string, readonly string[], (status: FleetStatus, set: Set) => void])[] = [
  [
    'workers',
    'Workers by state',
    ['state'],
    ({ workers }, set) => {
      for (const state of WORKER_STATES) set({ state }, workers.filter((worker) => worker.state === state).length);
    },
  ],
  [
    'plans',
    'Plans by model, precision and state; done: not collected yet',
    ['model', 'precision', 'state'],
    ({ classes }, set) => {
      for (const { work, ...counts } of classes) {
        const { model, precision } = { model: `${work.model.name}`, precision: work.precision };
        for (const state of ['waiting', 'running', 'done', 'failed'] as const) {
          set({ model, precision, state }, counts[state]);
        }
      }
    },
  ],
  [
    'able_workers',
    'Workers that can take the plans of a model',
    ['model', 'precision'],
    ({ classes }, set) => {
      for (const { work, workers } of classes) set({ model: work.model.name, precision: work.precision }, workers);
    },
  ],
  ['aside', 'Workers set aside for a wrong result', [], ({ aside }, set) => set({}, aside.length)],
  ...(['done', 'failed', 'lost', 'pictures'] as const).map(
    (key) =>
      [
        `worker_${key}`,
        key === 'pictures' ? 'Pictures since the worker began' : `Plans ${key} since the worker began`,
        ['worker'],
        ({ workers }: FleetStatus, set: Set) => {
          for (const worker of workers) set({ worker: worker.name }, worker[key]);
        },
      ] as const,
  ),
  [
    'worker_pictures_per_minute',
    'Over the last minute',
    ['worker'],
    ({ workers }, set) => {
      for (const { name, rate } of workers) set({ worker: name }, rate);
    },
  ],
  [
    'worker_busy_ratio',
    'Share of the last minute in which it computed',
    ['worker'],
    ({ workers }, set) => {
      for (const { name, busy } of workers) set({ worker: name }, busy);
    },
  ],
];

/** Adds the fleet's gauges; `read` is asked once a scrape. */
export function addFleetMetrics(registry: Registry, read: () => Promise<FleetStatus>): void {
  let status: Promise<FleetStatus> | undefined;
  const shared = (): Promise<FleetStatus> => {
    status ??= read().finally(() => {
      status = undefined;
    });
    return status;
  };
  for (const [name, help, labelNames, fill] of GAUGES) {
    new Gauge({
      name: `sdgen_fleet_${name}`,
      help,
      labelNames: [...labelNames],
      registers: [registry],
      async collect() {
        const now = await shared();
        this.reset();
        const sums = new Map<string, number>();
        fill(now, (labels, value) => {
          // Classes that differ in their device alone share a series.
          const key = JSON.stringify(labels);
          sums.set(key, (sums.get(key) ?? 0) + value);
          this.set(labels, sums.get(key) ?? 0);
        });
      },
    });
  }
}
