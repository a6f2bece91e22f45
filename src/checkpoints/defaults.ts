import { FailureError, UsageError } from '../request/errors.js';
import { showValue } from '../request/show-value.js';
import { parseTextToImage, type TextToImageInput } from '../request/txt2img.js';

/** Keys of a checkpoint's metadata that replace a request's defaults, and whether they are numbers. */
const KEYS = {
  'sdgen.default_steps': { field: 'steps', isNumber: true },
  'sdgen.default_sampler': { field: 'sampler', isNumber: false },
  'sdgen.default_scheduler': { field: 'scheduler', isNumber: false },
  'sdgen.default_cfg_scale': { field: 'cfgScale', isNumber: true },
  'sdgen.default_width': { field: 'width', isNumber: true },
  'sdgen.default_height': { field: 'height', isNumber: true },
  'sdgen.default_clip_skip': { field: 'clipSkip', isNumber: true },
} as const;

/**
 * Whether a checkpoint asks to be computed in float32 (`sdgen.precision` in its metadata), because less is not enough.
 * @throws FailureError E_MODEL_FORMAT for any other value of that key
 */
export function asksForFp32(metadata: Readonly<Record<string, string>>, path: string): boolean {
  const asked = Object.hasOwn(metadata, 'sdgen.precision') ? metadata['sdgen.precision'] : undefined;
  if (asked === undefined || asked === 'fp32') return asked === 'fp32';
  throw new FailureError(
    'E_MODEL_FORMAT',
    `the metadata of the model ${path} gives a wrong sdgen.precision: ${showValue(asked)}; it may be fp32`,
  );
}

export type ModelDefaults = Partial<
  Pick<TextToImageInput, 'steps' | 'sampler' | 'scheduler' | 'cfgScale' | 'width' | 'height' | 'clipSkip'>
>;

/**
 * The defaults a checkpoint states for itself (`sdgen.default_…` in its metadata). `trailing`: its scheduler counts
 * timesteps from the last trained one downwards, which is what SGM Uniform does for samplers of sigmas.
 * @throws FailureError E_MODEL_FORMAT when one is not a value that a request may have
 */
export function modelDefaults(
  metadata: Readonly<Record<string, string>>,
  path: string,
  trailing = false,
): ModelDefaults {
  const found: Record<string, unknown> = trailing ? { scheduler: 'SGM Uniform' } : {};
  for (const [key, { field, isNumber }] of Object.entries(KEYS)) {
    if (!Object.hasOwn(metadata, key)) continue;
    const text = metadata[key] ?? '';
    found[field] = isNumber && text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : text;
  }
  if (Object.keys(found).length === 0) return {};
  try {
    const checked = parseTextToImage({ prompt: '', ...found });
    return Object.fromEntries(Object.entries(checked).filter(([field]) => Object.hasOwn(found, field)));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new FailureError(
      'E_MODEL_FORMAT',
      `the metadata of the model ${path} gives a wrong default: ${error.message}`,
    );
  }
}
