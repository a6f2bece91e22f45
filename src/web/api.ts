/** The server's routes as the page uses them. */

export interface Settings {
  readonly prompt: string;
  readonly negative_prompt: string;
  readonly steps: number;
  readonly sampler_name: string;
  readonly scheduler: string;
  readonly cfg_scale: number;
  readonly width: number;
  readonly height: number;
  readonly seed: number;
  readonly batch_size: number;
}

export interface Picture {
  readonly id: string;
  /** A data URL. */
  readonly source: string;
  readonly infotext: string;
  readonly seed: number;
  readonly settings: Settings;
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

export interface Choices {
  readonly samplers: readonly string[];
  readonly schedulers: readonly string[];
  /** What the server's model is best asked for. */
  readonly defaults: Partial<Settings>;
}

export const DEFAULTS: Settings = {
  prompt: '',
  negative_prompt: '',
  steps: 20,
  sampler_name: 'DPM++ 2M',
  scheduler: 'Automatic',
  cfg_scale: 7,
  width: 512,
  height: 512,
  seed: -1,
  batch_size: 1,
};

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
  const response = await fetch(path, init);
  const body = await response.json().catch(() => ({ detail: response.statusText }));
  if (!response.ok) throw new Error(reasonOf(body.errors || body.detail));
  return body;
}

export async function readChoices(): Promise<Choices> {
  const [samplers, schedulers, { defaults }] = await Promise.all([
    call<{ name: string }[]>('sdapi/v1/samplers'),
    call<{ label: string }[]>('sdapi/v1/schedulers'),
    call<{ defaults: Partial<Settings> }>('v1/model'),
  ]);
  return {
    samplers: samplers.map(({ name }) => name),
    schedulers: schedulers.map(({ label }) => label),
    defaults,
  };
}

export const startJob = (settings: Settings): Promise<JobFacts> =>
  call('v1/jobs', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(settings) });

export const cancelJob = (id: string): Promise<JobFacts> => call(`v1/jobs/${id}`, { method: 'DELETE' });

export interface Watcher {
  readonly onStep: (facts: JobFacts) => void;
  readonly onPreview: (source: string) => void;
}

/** Follows a job to its end. @throws Error when it failed, or the server is gone */
export function followJob(id: string, { onStep, onPreview }: Watcher): Promise<JobFacts> {
  return new Promise((resolve, reject) => {
    const events = new EventSource(`v1/jobs/${id}/events`);
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
export function picturesOf(facts: JobFacts, settings: Settings): Picture[] {
  if (facts.result === null) return [];
  const info: { infotexts: string[]; all_seeds: number[] } = JSON.parse(facts.result.info);
  return facts.result.images.map((data, i) => ({
    id: `${facts.id}-${i}`,
    source: `data:image/png;base64,${data}`,
    infotext: info.infotexts[i] ?? '',
    seed: info.all_seeds[i] ?? settings.seed,
    settings,
  }));
}
