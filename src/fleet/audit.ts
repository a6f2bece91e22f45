import { setTimeout as sleep } from 'node:timers/promises';
import type { RuntimeContext } from '../context/runtime-context.js';
import { executePlan, type GeneratedImage } from '../pipeline/execute.js';
import type { GenerationPlan } from '../pipeline/plan.js';
import { FailureError } from '../request/errors.js';
import { classOf, refusal } from './classes.js';
import type { FleetClient, Submission } from './client.js';
import type { WorkerInfo } from './registry.js';
import type { TaskResult } from './result.js';

export interface AuditorParts {
  readonly client: Pick<FleetClient, 'submit' | 'registry' | 'storeId'>;
  /** Of all fp32 plans, 0 … 1. */
  readonly share: number;
  readonly onLog: (message: string) => void;
  /** 0 … 1; nobody but the one who asks knows which plans are looked at. */
  readonly random?: (() => number) | undefined;
  /** Computes a plan where no worker can decide. */
  readonly judge?: ((submission: Submission, context: RuntimeContext) => Promise<GeneratedImage[]>) | undefined;
}

/** How often a worker that is asked is looked for. */
const LOOK_MS = 2000;

function isSame(a: Pick<TaskResult, 'images'>, b: Pick<TaskResult, 'images'>): boolean {
  const key = ({ images }: Pick<TaskResult, 'images'>): string =>
    JSON.stringify(images.map(({ latentSha256, pixelSha256 }) => [latentSha256, pixelSha256]));
  return key(a) === key(b);
}

/** This process's own computing, as the last word. */
async function computeHere({ plan, start }: Submission, context: RuntimeContext): Promise<GeneratedImage[]> {
  const images: GeneratedImage[] = [];
  const quiet = { onProgress: () => undefined, onStep: () => undefined, previewEvery: 0, trail: true };
  const batches = executePlan(plan, context, { ...quiet, time: (_, work) => work() }, start?.pictures);
  for await (const batch of batches) images.push(...batch);
  return images;
}

/**
 * Has a share of the fp32 plans made again by another worker: fp32 gives the same bytes everywhere, so that two who
 * differ cannot both be right. A third worker decides, or this machine; who was wrong is named and set aside.
 */
export class Auditor {
  readonly #parts: AuditorParts;
  readonly #made = new Map<string, number>();
  readonly #told = new Set<string>();
  checked = 0;
  differing = 0;

  constructor(parts: AuditorParts) {
    this.#parts = parts;
  }

  /** As the client's: the result is the right one where it was looked at. */
  submit = async (submission: Submission, context: RuntimeContext): Promise<TaskResult> => {
    const { client, share, random = Math.random } = this.#parts;
    const result = await client.submit(submission);
    this.#made.set(result.worker, (this.#made.get(result.worker) ?? 0) + 1);
    const isWhole = submission.earlyEnd?.wanted !== true;
    if (submission.plan.device.precision !== 'fp32' || !isWhole || random() >= share) return result;
    const second = await this.#again(submission, [result.worker]);
    if (second === undefined) {
      this.#tellOnce('audit: no second worker is there, so that nothing is checked');
      return result;
    }
    this.checked += 1;
    if (isSame(result, second)) return result;
    this.differing += 1;
    return this.#decide(submission, context, [result, second]);
  };

  /** One line for the end; undefined where nothing was looked at. */
  summary(): string | undefined {
    if (this.checked === 0) return undefined;
    return `audit: ${this.checked} plans were made twice, ${this.differing} of them differed`;
  }

  /** @param results two that differ */
  async #decide(submission: Submission, context: RuntimeContext, results: readonly TaskResult[]): Promise<TaskResult> {
    const third = await this.#again(
      submission,
      results.map(({ worker }) => worker),
    );
    const all = third === undefined ? results : [...results, third];
    const agreeing = all.find((one) => all.filter((other) => isSame(one, other)).length > 1);
    const right = agreeing ?? (await this.#judge(submission, context, all[0]));
    for (const wrong of all.filter((one) => !isSame(one, right))) {
      const by = all.flatMap((one) => (isSame(one, right) ? [one.worker] : []));
      await this.#setAside(wrong, submission, by.length === 0 || agreeing === undefined ? [...by, 'this machine'] : by);
    }
    return right;
  }

  async #judge(submission: Submission, context: RuntimeContext, like: TaskResult | undefined): Promise<TaskResult> {
    this.#parts.onLog('audit: two workers differ and no third one is there: computing the plan on this machine');
    const images = await (this.#parts.judge ?? computeHere)(submission, context);
    if (like === undefined) throw new FailureError('E_INTERNAL', 'nothing to judge');
    const { name, precision, isa } = context.device;
    return { ...like, worker: 'this machine', device: { name, precision, isa }, images };
  }

  async #setAside({ worker }: TaskResult, { planSha256 }: Submission, by: readonly string[]): Promise<void> {
    const why = `its result of the plan ${planSha256.slice(0, 12)} is not that of ${by.join(' and ')}`;
    await this.#parts.client.registry.setAside(worker, { why, plan: planSha256, at: new Date().toISOString() });
    const made = this.#made.get(worker) ?? 0;
    this.#parts.onLog(
      `audit: worker ${worker} is set aside: ${why}. It made ${made} of this run's results: sdgen verify checks pictures`,
    );
  }

  /** The plan by another worker than those; undefined where there is none. */
  async #again(submission: Submission, notBy: readonly string[]): Promise<TaskResult | undefined> {
    const gone: string[] = [];
    for (;;) {
      const worker = await this.#another(submission.plan, [...notBy, ...gone]);
      if (worker === undefined) return undefined;
      const result = await this.#by(worker, submission);
      if (result !== undefined) return result;
      gone.push(worker.name);
    }
  }

  async #another(plan: GenerationPlan, notBy: readonly string[]): Promise<WorkerInfo | undefined> {
    const { registry, storeId } = this.#parts.client;
    const work = classOf(plan, storeId);
    const [workers, aside] = await Promise.all([registry.workers(), registry.aside()]);
    const able = workers.filter(
      ({ name, state, abilities }) =>
        !notBy.includes(name) && !aside.has(name) && state !== 'draining' && refusal(work, abilities) === undefined,
    );
    const quiet = able.filter(({ state }) => state === 'idle');
    const from = quiet.length > 0 ? quiet : able;
    return from[Math.floor(Math.random() * from.length)];
  }

  /** Undefined where the worker went away, or failed. */
  async #by({ id, name }: WorkerInfo, submission: Submission): Promise<TaskResult | undefined> {
    const { client, onLog } = this.#parts;
    const away = new AbortController();
    const over = new AbortController();
    const watch = async (): Promise<void> => {
      while (!over.signal.aborted) {
        await sleep(LOOK_MS, undefined, { signal: over.signal });
        if ((await client.registry.workers()).every((worker) => worker.id !== id)) away.abort();
      }
    };
    watch().catch(() => undefined); // over
    try {
      return await client.submit({
        ...submission,
        id: `${submission.id}-audit-${id}`,
        previewEvery: 0,
        earlyEnd: undefined,
        onNews: undefined,
        signal: AbortSignal.any([submission.signal, away.signal]),
        to: id,
      });
    } catch (error) {
      if (submission.signal.aborted) throw error;
      if (!away.signal.aborted) onLog(`audit: worker ${name}: ${error instanceof Error ? error.message : error}`);
      return undefined;
    } finally {
      over.abort();
    }
  }

  #tellOnce(message: string): void {
    if (this.#told.has(message)) return;
    this.#told.add(message);
    this.#parts.onLog(message);
  }
}
