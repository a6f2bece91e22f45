import type { OptionsSnapshot } from '../context/options.js';
import type { RuntimeContext } from '../context/runtime-context.js';
import { stripComments } from '../prompt/comments.js';
import { type PromptPart, resolvePrompt } from '../prompt/conditioning.js';
import { refuseNetworks } from '../prompt/networks.js';
import type { PromptField } from '../prompt/position.js';
import { applyStyles, type Styles } from '../prompt/styles.js';
import type { ClipTokenizer } from '../prompt/tokenizer.js';
import { FailureError } from '../request/errors.js';
import { type PictureRequest, samplingSteps } from '../request/txt2img.js';
import { findSampler } from '../sampling/samplers.js';
import { canonicalJson, type GenerationPlan, type PlanPart } from './plan.js';

/**
 * A request with its prompts as they are read and as a picture's parameters have them: styles applied, then comments
 * taken out.
 * @throws UsageError for unknown styles and syntax that is not built
 */
export function expandPrompts<
  R extends Pick<PictureRequest, 'prompt' | 'negativePrompt' | 'styles'> & {
    readonly hiresPrompt?: string;
    readonly hiresNegativePrompt?: string;
  },
>(request: R, { promptComments }: Pick<OptionsSnapshot, 'promptComments'>, styles: Styles): R {
  const expand = (text: string, field: PromptField): string => {
    const styled = applyStyles(text, field, request.styles, styles);
    const expanded = promptComments ? stripComments(styled) : styled;
    refuseNetworks(expanded, field);
    return expanded;
  };
  const { hiresPrompt, hiresNegativePrompt } = request;
  return {
    ...request,
    prompt: expand(request.prompt, 'prompt'),
    negativePrompt: expand(request.negativePrompt, 'negativePrompt'),
    // Empty, they are the first pass's, which has its styles already.
    ...(hiresPrompt ? { hiresPrompt: expand(hiresPrompt, 'prompt') } : {}),
    ...(hiresNegativePrompt ? { hiresNegativePrompt: expand(hiresNegativePrompt, 'negativePrompt') } : {}),
  };
}

/**
 * What a prompt's schedule counts, as the webui does: steps, or the evaluations of a sampler that makes two a step.
 */
export function scheduleCount(request: Pick<PictureRequest, 'sampler' | 'steps' | 'sigmas'>): number {
  return samplingSteps(request) * (findSampler(request.sampler).secondOrder ? 2 : 1);
}

/**
 * Both prompts, read; the negative one's part is null where no step would ask for it.
 * @param first the first pass's request, where these are the second's
 * @param guided whether the guidance has more to it than the scale
 * @throws UsageError for what cannot be read, FailureError for a text tower with another vocabulary
 */
export function planPrompts(
  request: PictureRequest,
  context: RuntimeContext,
  tokenizer: ClipTokenizer,
  first?: PictureRequest,
  guided = false,
): Pick<GenerationPlan, 'prompt' | 'negativePrompt' | 'emphasis' | 'oldPromptSchedules'> {
  const { positions, vocabulary } = context.model.description.text;
  if (vocabulary < tokenizer.size) {
    throw new FailureError(
      'E_MODEL_UNSUPPORTED',
      `the text encoder of ${context.model.path} knows ${vocabulary} tokens; CLIP's ${tokenizer.size} are needed`,
    );
  }
  const { commaPaddingBacktrack: commaBacktrack, emphasis, oldPromptSchedules } = context.options;
  const { needsUncond } = findSampler(request.sampler);
  const steps = scheduleCount(first ?? request);
  const hiresSteps = first === undefined ? undefined : scheduleCount(request);
  const read = (text: string, field: PromptField, old: boolean): PlanPart[] =>
    resolvePrompt(text, field, {
      tokenizer,
      positions,
      commaBacktrack,
      emphasis,
      timing: { steps, hiresSteps, old },
    }).map(planPart);
  const readBoth = (old: boolean) =>
    [read(request.prompt, 'prompt', old), read(request.negativePrompt, 'negativePrompt', old)] as const;
  const [parts, [negative = null]] = readBoth(oldPromptSchedules);
  const differs = oldPromptSchedules && canonicalJson([parts, [negative]]) !== canonicalJson(readBoth(false));
  const isGuided = guided || needsUncond || parts.length !== 1 || (parts[0]?.weight ?? 1) * request.cfgScale !== 1;
  return {
    prompt: { text: request.prompt, parts },
    negativePrompt: { text: request.negativePrompt, part: isGuided ? negative : null },
    emphasis,
    oldPromptSchedules: differs,
  };
}

function planPart({ weight, texts, stages }: PromptPart): PlanPart {
  return {
    weight,
    texts: texts.map(({ text, chunks }) => ({
      text,
      chunks: chunks.map(({ tokens, weights }) => ({ tokens: [...tokens], weights: weights.map(Math.fround) })),
    })),
    stages: [...stages],
  };
}
