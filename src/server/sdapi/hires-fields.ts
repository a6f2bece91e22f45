import { enlargedSize } from '../../pipeline/hires-size.js';
import { refuseField } from '../errors.js';
import type { ServerLimits } from '../settings.js';
import type { GenerationBody, Txt2imgBody } from './bodies.js';

/** What the webui's class has where the API says nothing. */
const USUAL_STRENGTH = 0.75;
const SAME = /^(use same (sampler|scheduler|checkpoint))?$/i;

/** A name, unless it stands for the first pass's. */
const named = (value: string | null): string | undefined =>
  value === null || SAME.test(value.trim()) ? undefined : value;

/** The body of a request with a second pass. */
function withSecondPass(body: GenerationBody): Txt2imgBody | undefined {
  return 'enable_hr' in body && body.enable_hr ? body : undefined;
}

/** A body's second pass in our fields; none where it asks for none. The sides are the first pass's and the second's. */
export function hiresFields(body: GenerationBody): Record<string, unknown> {
  const hires = withSecondPass(body);
  if (hires === undefined) return {};
  const { firstphase_width: firstWidth, firstphase_height: firstHeight } = hires;
  if (firstWidth > 0 !== firstHeight > 0) {
    throw refuseField('firstphase_width', 'firstphase_width and firstphase_height need each other');
  }
  const whole = (side: number): number => side - (side % 8);
  // In the old way the sides are those of the result.
  const legacy = firstWidth > 0 && { width: whole(firstWidth), height: whole(firstHeight) };
  return {
    hires: true,
    ...(legacy || {}),
    hiresScale: hires.hr_scale,
    hiresResizeX: legacy ? hires.width : hires.hr_resize_x,
    hiresResizeY: legacy ? hires.height : hires.hr_resize_y,
    ...(hires.hr_upscaler ? { hiresUpscaler: hires.hr_upscaler } : {}),
    hiresSteps: hires.hr_second_pass_steps,
    hiresDenoisingStrength: hires.denoising_strength ?? USUAL_STRENGTH,
    hiresSampler: named(hires.hr_sampler_name),
    hiresScheduler: named(hires.hr_scheduler),
    hiresPrompt: hires.hr_prompt ?? '',
    hiresNegativePrompt: hires.hr_negative_prompt ?? '',
  };
}

/** @throws InvalidRequest for a second pass that is not built, or beyond the server's limits */
export function requireHires(body: GenerationBody, limits: ServerLimits): void {
  const hires = withSecondPass(body);
  if (hires === undefined) return;
  if (named(hires.hr_checkpoint_name) !== undefined) {
    throw refuseField('hr_checkpoint_name', 'hr_checkpoint_name asks for what is not built here: leave it out');
  }
  const fields = hiresFields(body);
  const { width, height } = enlargedSize({
    width: Number(fields.width ?? hires.width),
    height: Number(fields.height ?? hires.height),
    hiresScale: hires.hr_scale,
    hiresResizeX: Number(fields.hiresResizeX),
    hiresResizeY: Number(fields.hiresResizeY),
  });
  if (width * height > limits.pixels) {
    const size = `a second pass of ${width}x${height}`;
    throw refuseField(
      'hr_scale',
      `${size} is more than the ${limits.pixels} pixels that this server makes; --max-pixels`,
    );
  }
  if (hires.hr_second_pass_steps > limits.steps) {
    const steps = `hr_second_pass_steps may be up to ${limits.steps} on this server`;
    throw refuseField('hr_second_pass_steps', `${steps}, not ${hires.hr_second_pass_steps}; --max-steps`);
  }
}
