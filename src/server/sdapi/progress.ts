import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { readAs } from '../coerce.js';
import type { Job } from '../job-store.js';
import type { Services } from '../services.js';
import { livePreview } from './live-preview.js';
import { jobTimestamp } from './response.js';

const progressQuery = z.object({ skip_current_image: z.boolean().default(false) });
const stateSchema = z.object({
  skipped: z.boolean(),
  interrupted: z.boolean(),
  stopping_generation: z.boolean(),
  job: z.string(),
  job_count: z.number(),
  job_timestamp: z.string(),
  job_no: z.number(),
  sampling_step: z.number(),
  sampling_steps: z.number(),
});
const progressResponse = z.object({
  progress: z.number(),
  eta_relative: z.number(),
  state: stateSchema,
  current_image: z.string().nullable(),
  textinfo: z.string().nullable(),
});
const internalBody = z.object({
  id_task: z.string().nullable().default(null),
  id_live_preview: z.number().nullable().default(-1),
  live_preview: z.boolean().nullable().default(true),
});
const internalResponse = z.object({
  active: z.boolean(),
  queued: z.boolean(),
  completed: z.boolean(),
  progress: z.number().nullable(),
  eta: z.number().nullable(),
  live_preview: z.string().nullable(),
  id_live_preview: z.number().nullable(),
  textinfo: z.string().nullable(),
});
const nothing = { 200: z.unknown() };

/** Seconds that remain if it goes on as it has; 0 before anything is known. */
function etaOf(job: Job): number {
  const { progress, started } = job;
  if (started === undefined || progress === 0) return 0;
  const elapsed = (Date.now() - started.getTime()) / 1000;
  return elapsed / progress - elapsed;
}

/** The webui's single state: the active job's, and zeros while there is none. */
export function stateOf(job: Job | undefined): z.output<typeof stateSchema> {
  const view = job?.view;
  // A second pass is a job of its own there.
  const passes = Math.max(1, job?.passes.length ?? 1);
  const [first = 0, second = 0] = job?.passes ?? [];
  const inSecond = passes > 1 && (view?.step ?? 0) > first;
  return {
    skipped: job?.earlyEnd.skipped ?? false,
    interrupted: job?.earlyEnd.interrupted ?? false,
    stopping_generation: false,
    job: job?.id ?? '',
    job_count: job === undefined ? 0 : (view?.batches || job.batches) * passes,
    job_timestamp: job === undefined ? '0' : jobTimestamp(job.created),
    job_no: Math.max(0, (view?.batch ?? 0) - 1) * passes + (inSecond ? 1 : 0),
    sampling_step: (view?.step ?? 0) - (inSecond ? first : 0),
    sampling_steps: (inSecond ? second : first) || view?.steps || (job?.steps ?? 0),
  };
}

/** GET progress, POST interrupt and skip: of the job that computes. */
function addGlobal(app: FastifyInstance, { jobs }: Services): void {
  const schema = { tags: ['progress'], querystring: progressQuery, response: { 200: progressResponse } };
  app.get('/sdapi/v1/progress', { schema }, async (request) => {
    const { skip_current_image: skipsImage } = readAs(progressQuery, request.query, 'query');
    const job = jobs.active;
    const image = job === undefined || skipsImage ? undefined : await livePreview(job);
    return {
      progress: job?.progress ?? 0,
      eta_relative: job === undefined ? 0 : etaOf(job),
      state: stateOf(job),
      current_image: image?.toString('base64') ?? null,
      textinfo: null,
    };
  });
  app.post('/sdapi/v1/interrupt', { schema: { tags: ['progress'], response: nothing } }, async () => {
    jobs.active?.earlyEnd.interrupt();
    return {};
  });
  app.post('/sdapi/v1/skip', { schema: { tags: ['progress'], response: nothing } }, async (_, reply) => {
    jobs.active?.earlyEnd.skip();
    return reply.type('application/json').send('null');
  });
}

/** What the webui's page polls, by the task's id. */
function addInternal(app: FastifyInstance, { jobs, queue }: Services): void {
  app.post(
    '/internal/progress',
    { schema: { tags: ['progress'], body: internalBody, response: { 200: internalResponse } } },
    async (request) => {
      const {
        id_task: id,
        id_live_preview: seen,
        live_preview: wantsPreview,
      } = readAs(internalBody, request.body, 'body');
      const job = id === null ? undefined : jobs.find(id);
      const isOpen = job !== undefined && job.outcome === undefined;
      const active = isOpen && job.state === 'running';
      const place = queue.waiting.findIndex((waiting) => waiting.id === id);
      const isNew = active && wantsPreview !== false && job.previewId > Math.max(0, seen ?? -1);
      const image = isNew ? await livePreview(job) : undefined;
      return {
        active,
        queued: isOpen && !active,
        completed: job !== undefined && !isOpen,
        progress: active ? job.progress : null,
        eta: active ? etaOf(job) : null,
        live_preview: image === undefined ? null : `data:image/png;base64,${image.toString('base64')}`,
        id_live_preview: image === undefined ? seen : (job?.previewId ?? seen),
        textinfo:
          isOpen && !active ? (place >= 0 ? `In queue: ${place + 1}/${queue.waiting.length}` : 'Waiting...') : null,
      };
    },
  );
  const pending = z.object({ size: z.number(), tasks: z.array(z.string()) });
  app.get('/internal/pending-tasks', { schema: { tags: ['progress'], response: { 200: pending } } }, async () => {
    const tasks = jobs.open.filter(({ state }) => state === 'queued').map(({ id }) => id);
    return { size: tasks.length, tasks };
  });
  app.get('/internal/ping', { schema: { tags: ['server'], response: nothing } }, async () => ({}));
}

export function addProgress(app: FastifyInstance, services: Services): void {
  addGlobal(app, services);
  addInternal(app, services);
}
