import { randomInt } from 'node:crypto';
import { UsageError } from '../../request/errors.js';
import type { RunSettings } from '../../runtime/processing-runner.js';
import { readAs } from '../coerce.js';
import { HttpError, refuseField } from '../errors.js';
import type { Job, JobKind } from '../job-store.js';
import { commandOptionsFor, type Services } from '../services.js';
import { type GenerationBody, type GenerationResponse, img2imgBody, txt2imgBody } from './bodies.js';
import { readFields, webuiFieldOf } from './fields.js';
import { withModelSettings } from './model-fields.js';
import type { OptionsView } from './option-store.js';
import { echoed, pictureFields } from './picture-fields.js';
import { buildResponse } from './response.js';
import { ResponseSink, webuiFiles } from './response-sink.js';

const ID_CHARACTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';

/** "task(txt2img-7K2M0QZ)". */
export function taskId(kind: JobKind): string {
  const random = Array.from({ length: 7 }, () => ID_CHARACTERS[randomInt(ID_CHARACTERS.length)]);
  return `task(${kind}-${random.join('')})`;
}

/** A checked request that may begin. */
interface Checked {
  readonly kind: JobKind;
  readonly body: GenerationBody;
  readonly options: OptionsView;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** Every how many steps the picture is shown while it is made. */
function previewEvery({ webui }: OptionsView): number {
  const every = Number(webui.show_progress_every_n_steps);
  return webui.live_previews_enable === true && every > 0 ? every : 0;
}

/** A request that is wrong, with the field as the client knows it. */
function inWebuiWords(error: unknown): unknown {
  if (!(error instanceof UsageError) || error.field === undefined) return error;
  return refuseField(webuiFieldOf(error.field), error.message);
}

async function generate(services: Services, checked: Checked, job: Job): Promise<GenerationResponse> {
  const { kind, body, options, fields, parameters } = checked;
  const { runner, settings, metrics, models } = services;
  const commandOptions = await commandOptionsFor(services, options);
  const saved = body.save_images
    ? webuiFiles(settings.outputFolder, kind, options.webui.save_to_dirs === true)
    : undefined;
  const sink = new ResponseSink(saved, options.webui.grid_save === true, job.earlyEnd);
  const run: RunSettings = {
    id: job.id,
    commandOptions,
    overrideOptions: options.overrides,
    signal: job.signal,
    place: job.place,
    earlyEnd: job.earlyEnd,
    sink,
    previewEvery: previewEvery(options),
    naming: webuiFieldOf,
    onEvent: job.onEvent,
  };
  const result = await runner.run(fields, run).catch((error: unknown) => {
    throw inWebuiWords(error);
  });
  metrics.runDone(result);
  models.remember(result.prepared.context.model.path, result.prepared.plan.model.sha256);
  const { fakeInference } = settings;
  return buildResponse({ result, sink, job, options, fakeInference, body }, parameters, body.send_images);
}

/**
 * Checks a body and begins its job.
 * @param raw the body as it was sent
 * @param keepResponse whether the answer is kept for those who ask by the job's id
 * @throws InvalidRequest, HttpError, FailureError E_QUEUE_FULL
 */
export async function startGeneration(
  services: Services,
  kind: JobKind,
  raw: unknown,
  keepResponse: boolean,
): Promise<{ readonly job: Job; readonly response: Promise<GenerationResponse> }> {
  if (!services.isOpen) throw new HttpError(503, 'the server is ending and takes no new work');
  const sent = readAs(kind === 'img2img' ? img2imgBody : txt2imgBody, raw, 'body');
  const options = services.options.view(sent.override_settings ?? {});
  const pictures = 'init_images' in sent ? await pictureFields(sent, services.settings) : {};
  const checkpoint = options.webui.sd_model_checkpoint;
  // Before a place in the queue is taken.
  const commandOptions = await commandOptionsFor(services, options);
  services.queue.requirePlace();
  const body = await withModelSettings(sent, raw, commandOptions, services);
  const fields = { ...readFields(body, options, services.settings.limits), ...pictures };
  const isImage = 'init_images' in body;
  const checked = { kind, body, options, fields, parameters: isImage ? echoed(body) : body };
  const ask = { id: body.force_task_id ?? taskId(kind), kind, batches: body.n_iter, steps: body.steps };
  services.log.info(
    { job: ask.id, kind, checkpoint, width: body.width, height: body.height, steps: body.steps },
    'job',
  );
  return services.jobs.start(ask, (job) => generate(services, checked, job), keepResponse);
}
