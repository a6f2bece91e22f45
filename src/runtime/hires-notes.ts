import type { InfotextValue } from '../image/infotext.js';
import { pythonFloat } from '../image/python-text.js';
import type { GenerationPlan } from '../pipeline/plan.js';

const unlessSame = <T>(value: T, first: T): T | undefined => (value === first ? undefined : value);

/**
 * What a picture says of its second pass: the webui's keys in its order, and Forge's for a guidance of its own. What is the
 * first pass's is not said.
 */
export function hiresNotes(plan: GenerationPlan): [string, InfotextValue][] {
  const { hires } = plan;
  if (hires === null) return [];
  const { target, sampler } = hires;
  const isResize = 'width' in target;
  return [
    ['Hires sampler', unlessSame(sampler.name, plan.sampler.name)],
    ['Hires prompt', unlessSame(hires.prompt.text, plan.prompt.text)],
    ['Hires negative prompt', unlessSame(hires.negativePrompt.text, plan.negativePrompt.text)],
    ['Hires schedule type', unlessSame(sampler.schedulerLabel, plan.sampler.schedulerLabel) ?? undefined],
    isResize ? ['Hires resize', `${target.width}x${target.height}`] : ['Hires upscale', pythonFloat(target.scale)],
    ['Hires steps', unlessSame(hires.steps, plan.steps)],
    ['Hires upscaler', hires.upscaler],
    ['Hires CFG Scale', unlessSame(hires.cfgScale, plan.cfgScale)],
    ['Extra noise', hires.extraNoise || undefined],
  ];
}
