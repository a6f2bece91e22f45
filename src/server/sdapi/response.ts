import { shortHash } from '../../checkpoints/hash.js';
import { furtherKind } from '../../pipeline/further-channels.js';
import { type GenerationResult, startParameters } from '../../runtime/finalize.js';
import { hiresNotes } from '../../runtime/hires-notes.js';
import { findSampler } from '../../sampling/samplers.js';
import type { Job } from '../job-store.js';
import type { GenerationBody, GenerationResponse } from './bodies.js';
import type { OptionsView } from './option-store.js';
import type { ResponseSink } from './response-sink.js';

/** "YYYYMMDDhhmmss", local time. */
export function jobTimestamp(date: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}${two(date.getMonth() + 1)}${two(date.getDate())}`;
  return `${day}${two(date.getHours())}${two(date.getMinutes())}${two(date.getSeconds())}`;
}

export interface ResponseInput {
  readonly result: GenerationResult;
  readonly sink: ResponseSink;
  readonly job: Job;
  readonly options: OptionsView;
  readonly fakeInference: boolean;
  readonly body: GenerationBody;
}

/** Seeds of all pictures; those of a variation share one. */
function seedLists({ result, body }: ResponseInput) {
  const { plan } = result.prepared;
  const seeds = plan.batches.flat();
  const first = body.subseed === -1 ? 0 : body.subseed;
  const subseeds = plan.variation?.batches.flat() ?? seeds.map((_, i) => first + i);
  return { seeds, subseeds };
}

/** `info`, its keys in the webui's order. */
export function infoOf(input: ResponseInput, infotexts: readonly string[], hasGrid: boolean): Record<string, unknown> {
  const { result, job, body } = input;
  const { plan } = result.prepared;
  const { seeds, subseeds } = seedLists(input);
  const all = (text: string): string[] => seeds.map(() => text);
  return {
    prompt: plan.prompt.text,
    all_prompts: all(plan.prompt.text),
    negative_prompt: plan.negativePrompt.text,
    all_negative_prompts: all(plan.negativePrompt.text),
    seed: seeds[0],
    all_seeds: seeds,
    subseed: subseeds[0],
    all_subseeds: subseeds,
    subseed_strength: body.subseed_strength,
    width: plan.width,
    height: plan.height,
    sampler_name: findSampler(plan.sampler.id).name,
    cfg_scale: plan.cfgScale,
    steps: plan.steps,
    batch_size: body.batch_size,
    restore_faces: false,
    face_restoration_model: null,
    sd_model_name: plan.model.name,
    sd_model_hash: shortHash(plan.model.sha256),
    sd_vae_name: plan.model.vae?.name ?? null,
    sd_vae_hash: plan.model.vae === null ? null : shortHash(plan.model.vae.sha256),
    seed_resize_from_w: plan.resizeFrom?.width ?? -1,
    seed_resize_from_h: plan.resizeFrom?.height ?? -1,
    denoising_strength: body.denoising_strength,
    extra_generation_params: {
      ...Object.fromEntries(hiresNotes(plan).filter(([, value]) => value !== undefined)),
      ...(plan.sampler.schedulerLabel === null ? {} : { 'Schedule type': plan.sampler.schedulerLabel }),
      ...(plan.start === null ? {} : startParameters(plan.start)),
      ...(input.fakeInference ? { 'Fake inference': true } : {}),
    },
    index_of_first_image: hasGrid ? 1 : 0,
    infotexts,
    styles: body.styles ?? [],
    job_timestamp: jobTimestamp(job.created),
    clip_skip: plan.clipSkip,
    is_using_inpainting_conditioning: furtherKind(result.prepared.context.model.description) === 'inpaint',
    version: null,
  };
}

/** The answer to a request that was carried out. */
export function buildResponse(
  input: ResponseInput,
  parameters: Readonly<Record<string, unknown>>,
  sendImages: boolean,
): GenerationResponse {
  const { result, sink, options } = input;
  const texts = result.images.map(({ infotext }) => infotext);
  const grid = options.webui.return_grid === true ? sink.grid : undefined;
  const infotexts = grid === undefined ? texts : [texts[0] ?? '', ...texts];
  const files = grid === undefined ? sink.files : [grid, ...sink.files];
  return {
    images: sendImages ? files.map((data) => Buffer.from(data).toString('base64')) : [],
    parameters,
    info: JSON.stringify(infoOf(input, infotexts, grid !== undefined)),
  };
}
