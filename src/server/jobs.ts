import type { FastifyInstance, FastifyReply } from 'fastify';
import { z } from 'zod';
import { readAs } from './coerce.js';
import { answerOf, HttpError } from './errors.js';
import type { Job } from './job-store.js';
import { generationResponse, img2imgBody, txt2imgBody } from './sdapi/bodies.js';
import { startGeneration } from './sdapi/generation.js';
import { livePreview } from './sdapi/live-preview.js';
import type { Services } from './services.js';

const jobSchema = z.object({
  id: z.string(),
  kind: z.enum(['txt2img', 'img2img']),
  state: z.enum(['queued', 'running', 'done', 'failed', 'cancelled']),
  /** Place among those that wait, from 1; null for others. */
  position: z.number().nullable(),
  /** 0 … 1. */
  progress: z.number(),
  batch: z.number(),
  batches: z.number(),
  step: z.number(),
  steps: z.number(),
  created: z.string(),
  started: z.string().nullable(),
  ended: z.string().nullable(),
  /** Of a failed one. */
  error: z.object({ status: z.number(), detail: z.unknown() }).nullable(),
  /** Of one that is done: what txt2img answers. */
  result: generationResponse.nullable(),
});
const params = z.object({ id: z.string().min(1).max(200) });
/** txt2img's body, or img2img's where it has init_images. */
const jobBody = z.union([txt2imgBody, img2imgBody]);

function describeJob(job: Job, { queue }: Services): z.input<typeof jobSchema> {
  const place = queue.waiting.findIndex(({ id }) => id === job.id);
  const { view, response, error } = job;
  const answer = job.outcome === 'failed' ? answerOf(error) : undefined;
  return {
    id: job.id,
    kind: job.kind,
    state: job.state,
    position: place < 0 ? null : place + 1,
    progress: job.progress,
    batch: view?.batch ?? 0,
    batches: view?.batches || job.batches,
    step: view?.step ?? 0,
    steps: view?.steps || job.steps,
    created: job.created.toISOString(),
    started: job.started?.toISOString() ?? null,
    ended: job.ended?.toISOString() ?? null,
    error: answer === undefined ? null : { status: answer.status, detail: errorDetail(answer.body) },
    result: response === undefined ? null : { ...response, images: [...response.images] },
  };
}

/** The part of an error's body that says what was wrong. */
function errorDetail(body: ReturnType<typeof answerOf>['body']): unknown {
  return 'errors' in body ? body.detail || body.errors : body.detail;
}

const isImg2img = (body: unknown): boolean =>
  typeof body === 'object' &&
  body !== null &&
  Object.hasOwn(body, 'init_images') &&
  Reflect.get(body, 'init_images') !== null;

/** Blank comments keep proxies and clients from giving a quiet stream up. */
const HEARTBEAT_MS = 15_000;

/** Follows a job as server-sent events until it ends or the listener goes away; the job goes on either way. */
function streamEvents(job: Job, services: Services, reply: FastifyReply): void {
  const { raw } = reply;
  reply.hijack();
  raw.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    connection: 'keep-alive',
  });
  const send = (event: string, data: unknown): void => {
    // A listener that does not read misses steps instead of filling the memory.
    if (raw.writableEnded || raw.destroyed || (event !== 'done' && raw.writableLength > 4 * 2 ** 20)) return;
    raw.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  };
  const facts = () => {
    const { result: _, ...rest } = describeJob(job, services);
    return rest;
  };
  const onStep = (): void => send('step', facts());
  let lastPreview: Promise<void> = Promise.resolve();
  const onPreview = (): void => {
    const id = job.previewId;
    lastPreview = (livePreview(job) ?? Promise.reject(new Error('there is none'))).then(
      (data) => send('preview', { id, image: data.toString('base64') }),
      (error: unknown) => services.log.warn({ err: error, job: job.id }, 'a preview could not be encoded'),
    );
  };
  const onEnded = async (): Promise<void> => {
    leave();
    await lastPreview;
    send('done', describeJob(job, services));
    raw.end();
  };
  const beat = setInterval(() => raw.write(':\n\n'), HEARTBEAT_MS);
  const leave = (): void => {
    clearInterval(beat);
    job.off('step', onStep).off('preview', onPreview).off('ended', onEnded);
  };
  raw.once('close', leave);
  if (job.outcome !== undefined) {
    void onEnded();
    return;
  }
  send('step', facts());
  if (job.preview !== undefined) onPreview();
  job.on('step', onStep).on('preview', onPreview).on('ended', onEnded);
}

/** Jobs with an id each: POST /v1/jobs, GET and DELETE /v1/jobs/:id, GET /v1/jobs/:id/events. */
export function addJobs(app: FastifyInstance, services: Services): void {
  const find = (request: { readonly params: unknown }): Job => {
    const { id } = readAs(params, request.params, 'path');
    const job = services.jobs.find(id);
    if (job === undefined) throw new HttpError(404, 'there is no such job, or it ended long ago');
    return job;
  };
  const answer = (status: number) => ({ tags: ['jobs'], response: { [status]: jobSchema } });
  app.post('/v1/jobs', { schema: { ...answer(202), body: jobBody } }, async (request, reply) => {
    const kind = isImg2img(request.body) ? 'img2img' : 'txt2img';
    const { job } = await startGeneration(services, kind, request.body, true);
    return reply
      .code(202)
      .header('location', `/v1/jobs/${encodeURIComponent(job.id)}`)
      .send(describeJob(job, services));
  });
  app.get('/v1/jobs', { schema: { tags: ['jobs'], response: { 200: z.array(jobSchema) } } }, async () =>
    services.jobs.open.map((job) => describeJob(job, services)),
  );
  app.get('/v1/jobs/:id', { schema: { ...answer(200), params } }, async (request) =>
    describeJob(find(request), services),
  );
  app.get('/v1/jobs/:id/events', { schema: { tags: ['jobs'], params } }, async (request, reply) => {
    streamEvents(find(request), services, reply);
  });
  app.delete('/v1/jobs/:id', { schema: { ...answer(200), params } }, async (request) => {
    const job = find(request);
    if (job.outcome === undefined) {
      job.cancel();
      // Its end comes within one model evaluation.
      await new Promise<void>((resolve) => job.once('ended', resolve));
    }
    return describeJob(job, services);
  });
}
