/** The server's routes as the page uses them. */
import { type Asked, bodyOf, type Settings } from './settings';

export interface Picture {
  readonly id: string;
  /** A data URL. */
  readonly source: string;
  readonly infotext: string;
  readonly seed: number;
  /** What it was made by. */
  readonly asked: Asked;
}

export interface JobFacts {
  readonly id: string;
  readonly state: 'queued' | 'running' | 'done' | 'failed' | 'cancelled';
  readonly position: number | null;
  readonly progress: number;
  readonly batch: number;
  readonly batches: number;
  readonly step: number;
  readonly steps: number;
  readonly error: { readonly detail: unknown } | null;
  readonly result: { readonly images: readonly string[]; readonly info: string } | null;
}

/** What the model that the next request uses is best asked for. */
export type ModelDefaults = Pick<Settings, 'steps' | 'sampler_name' | 'scheduler' | 'cfg_scale' | 'width' | 'height'>;

export interface ModelFacts {
  readonly name: string;
  readonly family: string;
  readonly device: string;
  readonly precision: string;
  readonly defaults: ModelDefaults;
}

export interface Choices {
  readonly model: ModelFacts;
  readonly samplers: readonly string[];
  readonly schedulers: readonly string[];
  /** Of a second pass: those of latents, then those of pixels. */
  readonly upscalers: readonly string[];
}

/** What a refusal says, as one line. */
function reasonOf(detail: unknown): string {
  if (Array.isArray(detail)) {
    return detail
      .map((one: { loc?: unknown[]; msg?: string }) => `${one.loc?.at(-1) ?? ''}: ${one.msg ?? ''}`)
      .join('; ');
  }
  return typeof detail === 'string' ? detail : JSON.stringify(detail);
}

async function call<T>(path: string, init?: RequestInit): Promise<T> {
  const response = await fetch(path, init).catch(() => {
    throw new Error('the server does not answer');
  });
  const body = await response.json().catch(() => ({ detail: response.statusText }));
  if (!response.ok) throw new Error(reasonOf(body.errors || body.detail));
  return body;
}

export async function readChoices(): Promise<Choices> {
  type Named = { name: string }[];
  const [model, samplers, schedulers, latent, pixel] = await Promise.all([
    call<ModelFacts>('v1/model'),
    call<Named>('sdapi/v1/samplers'),
    call<{ label: string }[]>('sdapi/v1/schedulers'),
    call<Named>('sdapi/v1/latent-upscale-modes'),
    call<Named>('sdapi/v1/upscalers'),
  ]);
  return {
    model,
    samplers: samplers.map(({ name }) => name),
    schedulers: schedulers.map(({ label }) => label),
    upscalers: [...latent, ...pixel].map(({ name }) => name),
  };
}

export const startJob = (asked: Asked): Promise<JobFacts> =>
  call('v1/jobs', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(bodyOf(asked)),
  });

export const cancelJob = (id: string): Promise<JobFacts> =>
  call(`v1/jobs/${encodeURIComponent(id)}`, { method: 'DELETE' });

export interface Watcher {
  readonly onStep: (facts: JobFacts) => void;
  readonly onPreview: (source: string) => void;
}

/** Follows a job to its end. @throws Error when it failed, or the server is gone */
export function followJob(id: string, { onStep, onPreview }: Watcher): Promise<JobFacts> {
  return new Promise((resolve, reject) => {
    const events = new EventSource(`v1/jobs/${encodeURIComponent(id)}/events`);
    events.addEventListener('step', ({ data }) => onStep(JSON.parse(data)));
    events.addEventListener('preview', ({ data }) => onPreview(`data:image/png;base64,${JSON.parse(data).image}`));
    events.addEventListener('done', ({ data }) => {
      events.close();
      const facts: JobFacts = JSON.parse(data);
      if (facts.state === 'failed') reject(new Error(reasonOf(facts.error?.detail)));
      else resolve(facts);
    });
    events.addEventListener('error', () => {
      if (events.readyState !== EventSource.CLOSED) return; // it tries again by itself
      reject(new Error('the server does not answer'));
    });
  });
}

/** The pictures of a job that is done. */
export function picturesOf(facts: JobFacts, asked: Asked): Picture[] {
  if (facts.result === null) return [];
  const info: { infotexts: string[]; all_seeds: number[] } = JSON.parse(facts.result.info);
  return facts.result.images.map((data, i) => ({
    id: `${facts.id}-${i}`,
    source: `data:image/png;base64,${data}`,
    infotext: info.infotexts[i] ?? '',
    seed: info.all_seeds[i] ?? asked.settings.seed,
    asked,
  }));
}
