import { FORMAT_NAMES, type ImageFormat } from '../../request/limits.js';
import { refuseField } from '../errors.js';
import type { ServerLimits } from '../settings.js';
import type { GenerationBody } from './bodies.js';
import { hiresFields, requireHires } from './hires-fields.js';
import type { OptionsView } from './option-store.js';
import { resolveSampler } from './sampler-name.js';
import { refuseScripts } from './scripts.js';

/** Any field of either body. */
type Field = keyof (import('./bodies.js').Txt2imgBody & import('./bodies.js').Img2imgBody);

/**
 * What a field of the webui becomes:
 * - `request`: the field of ours that it is;
 * - `server`: read where the request is answered, or together with others below;
 * - `nothing`: has no effect here, whatever it says, as in the webui;
 * - `off`: not built; a value that asks for something is refused by name, and `isOff` tells which do not.
 */
type FieldUse =
  | { readonly kind: 'request'; readonly name: string }
  | { readonly kind: 'server' | 'nothing' }
  | { readonly kind: 'off'; readonly isOff: (value: unknown) => boolean };

const request = (name: string): FieldUse => ({ kind: 'request', name });
const server: FieldUse = { kind: 'server' };
const nothing: FieldUse = { kind: 'nothing' };
const off = (isOff: (value: unknown) => boolean): FieldUse => ({ kind: 'off', isOff });

const isEmpty = (value: unknown): boolean => value === null || value === '' || value === 'None';
const isFalse = (value: unknown): boolean => value === null || value === false;
const isZero = (value: unknown): boolean => value === null || value === 0;

export const FIELDS: Readonly<Record<Field, FieldUse>> = {
  prompt: request('prompt'),
  negative_prompt: request('negativePrompt'),
  styles: request('styles'),
  seed: request('seed'),
  subseed: request('subseed'),
  subseed_strength: request('subseedStrength'),
  seed_resize_from_h: server,
  seed_resize_from_w: server,
  sampler_name: server,
  sampler_index: server,
  scheduler: server,
  batch_size: request('batchSize'),
  n_iter: request('count'),
  steps: request('steps'),
  cfg_scale: request('cfgScale'),
  width: server,
  height: server,
  restore_faces: off(isFalse),
  tiling: off(isFalse),
  // Both follow from save_images, in the webui too.
  do_not_save_samples: nothing,
  do_not_save_grid: nothing,
  eta: request('eta'),
  denoising_strength: server,
  s_min_uncond: off(isZero),
  s_churn: request('sChurn'),
  s_tmax: request('sTmax'),
  s_tmin: request('sTmin'),
  s_noise: request('sNoise'),
  override_settings: server,
  // Nothing is changed for a request, so nothing is to be restored; to keep a change is what POST options is for.
  override_settings_restore_afterwards: off((value) => value === true),
  refiner_checkpoint: off(isEmpty),
  refiner_switch_at: nothing,
  disable_extra_networks: server,
  comments: nothing,
  force_task_id: server,
  script_name: server,
  script_args: nothing,
  send_images: server,
  save_images: server,
  alwayson_scripts: server,
  infotext: off(isEmpty),
  firstpass_image: off(isEmpty),
  enable_hr: server,
  firstphase_width: server,
  firstphase_height: server,
  hr_scale: server,
  hr_upscaler: server,
  hr_second_pass_steps: server,
  hr_resize_x: server,
  hr_resize_y: server,
  hr_checkpoint_name: server,
  hr_sampler_name: server,
  hr_scheduler: server,
  hr_prompt: server,
  hr_negative_prompt: server,
  init_images: server,
  resize_mode: server,
  image_cfg_scale: server,
  mask: server,
  mask_blur: server,
  mask_blur_x: server,
  mask_blur_y: server,
  mask_round: server,
  inpainting_fill: server,
  inpaint_full_res: server,
  inpaint_full_res_padding: server,
  inpainting_mask_invert: server,
  initial_noise_multiplier: server,
  latent_mask: off(isEmpty),
  include_init_images: server,
};

/** @throws InvalidRequest for the first field that asks for what is not built */
function refuseUnbuilt(body: GenerationBody): void {
  for (const [field, value] of Object.entries(body)) {
    const use = FIELDS[field as Field];
    if (use.kind === 'off' && !use.isOff(value)) {
      throw refuseField(field, `${field} asks for what is not built here: leave it out`);
    }
  }
  refuseScripts(body);
}

/** @throws InvalidRequest for what is beyond the server's limits */
function requireWithin(body: GenerationBody, limits: ServerLimits): void {
  const { width, height, steps, batch_size, n_iter } = body;
  if (width * height > limits.pixels) {
    throw refuseField(
      'width',
      `${width}x${height} is more than the ${limits.pixels} pixels that this server makes; --max-pixels`,
    );
  }
  if (steps > limits.steps) {
    throw refuseField('steps', `steps may be up to ${limits.steps} on this server, not ${steps}; --max-steps`);
  }
  if (batch_size * n_iter > limits.images) {
    const asked = `${batch_size} x ${n_iter} pictures`;
    throw refuseField(
      'n_iter',
      `${asked} are more than the ${limits.images} that this server makes at once; --max-images`,
    );
  }
}

/** The webui cuts sides to whole latent cells of 8 pixels. */
const wholeCells = (side: number): number => side - (side % 8);

const FORMATS: Readonly<Record<string, string>> = { jpg: 'jpeg' };
const NOISES: Readonly<Record<string, string>> = { GPU: 'gpu', NV: 'gpu', CPU: 'cpu' };
const NETWORK_TAG = /<\w+:[^>]+>/g;

/** How options want files written. */
export function fileOptions(webui: OptionsView['webui']): { readonly format: ImageFormat; readonly quality: number } {
  const written = String(webui.samples_format);
  const format = FORMAT_NAMES.find((name) => name === (FORMATS[written] ?? written)) ?? 'png';
  return { format, quality: Number(webui.jpeg_quality) };
}

/** What both bodies and the options say, as a request of ours. */
function mapFields(body: GenerationBody, { webui }: OptionsView): Record<string, unknown> {
  const mapped = Object.entries(body).flatMap(([field, value]) => {
    const use = FIELDS[field as Field];
    return use.kind === 'request' && value !== null ? [[use.name, value] as const] : [];
  });
  const { seed_resize_from_w: fromWidth, seed_resize_from_h: fromHeight } = body;
  const isResized = fromWidth > 0 && fromHeight > 0;
  return {
    ...Object.fromEntries(mapped),
    ...resolveSampler(body),
    ...(body.disable_extra_networks ? { prompt: (body.prompt ?? '').replace(NETWORK_TAG, '') } : {}),
    width: wholeCells(body.width),
    height: wholeCells(body.height),
    ...hiresFields(body),
    seedResizeFromW: isResized ? fromWidth : 0,
    seedResizeFromH: isResized ? fromHeight : 0,
    clipSkip: webui.CLIP_stop_at_last_layers,
    rng: NOISES[String(webui.randn_source)],
    ...fileOptions(webui),
    grid:
      body.save_images && body.batch_size * body.n_iter > 1 && (webui.return_grid === true || webui.grid_save === true),
  };
}

/**
 * A body as a request of ours; all that it asks for and does not get is refused by name.
 * @throws InvalidRequest, HttpError
 */
export function readFields(body: GenerationBody, options: OptionsView, limits: ServerLimits): Record<string, unknown> {
  refuseUnbuilt(body);
  requireWithin(body, limits);
  requireHires(body, limits);
  return mapFields(body, options);
}

/** The webui's name of a field of ours, for messages. */
export function webuiFieldOf(field: string): string {
  const found = Object.entries(FIELDS).find(([, use]) => use.kind === 'request' && use.name === field);
  return found?.[0] ?? OTHER_NAMES[field] ?? field;
}

const OTHER_NAMES: Readonly<Record<string, string>> = {
  sampler: 'sampler_name',
  hires: 'enable_hr',
  hiresScale: 'hr_scale',
  hiresResizeX: 'hr_resize_x',
  hiresResizeY: 'hr_resize_y',
  hiresUpscaler: 'hr_upscaler',
  hiresSteps: 'hr_second_pass_steps',
  hiresDenoisingStrength: 'denoising_strength',
  hiresSampler: 'hr_sampler_name',
  hiresScheduler: 'hr_scheduler',
  hiresPrompt: 'hr_prompt',
  hiresNegativePrompt: 'hr_negative_prompt',
  seedResizeFromW: 'seed_resize_from_w',
  seedResizeFromH: 'seed_resize_from_h',
  clipSkip: 'override_settings',
  etaNoiseSeedDelta: 'override_settings',
  initImages: 'init_images',
  resizeMode: 'resize_mode',
  denoisingStrength: 'denoising_strength',
  imageCfgScale: 'image_cfg_scale',
  maskBlurX: 'mask_blur_x',
  maskBlurY: 'mask_blur_y',
  maskedContent: 'inpainting_fill',
  inpaintArea: 'inpaint_full_res',
  inpaintPadding: 'inpaint_full_res_padding',
  initialNoiseMultiplier: 'initial_noise_multiplier',
  img2imgFixSteps: 'override_settings',
};
