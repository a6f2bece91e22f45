import { UsageError } from '../request/errors.js';
import { LIMITS } from '../request/limits.js';
import { fieldLabel, type PromptField } from './position.js';
import { parseSchedule, type ScheduleNode } from './schedule-tree.js';

/** What a prompt says from the model call after the stage before it up to and with call `until`, counted from 0. */
export interface PromptStage {
  readonly until: number;
  readonly text: string;
}

/** What the numbers in a prompt's schedules count. */
export interface ScheduleTiming {
  /** Model steps of the first pass: the sampler's steps, doubled for one that evaluates twice a step. */
  readonly steps: number;
  /** Steps of the hires pass, where the stages of that one are asked for. */
  readonly hiresSteps?: number | undefined;
  /** As the webui before 1.6: a number below 1 is a share whether or not it has a point, and both passes are alike. */
  readonly old?: boolean | undefined;
}

/** The model steps that a `when` names; what is below 1 holds from the start. */
function stepOf(when: string, total: number, { steps, hiresSteps, old }: ScheduleTiming): number {
  const value = Number(when);
  const isSecondPass = hiresSteps !== undefined;
  let step: number;
  if (old === true) step = value < 1 ? value * total : value;
  else if (when.includes('.')) step = (value - (isSecondPass ? 1 : 0)) * total;
  else step = value - (isSecondPass ? steps : 0);
  return Math.min(total, Math.trunc(step));
}

/** Adds the steps at which the text changes. */
function collectSteps(nodes: readonly ScheduleNode[], total: number, timing: ScheduleTiming, into: Set<number>): void {
  for (const node of nodes) {
    if (typeof node === 'string') continue;
    if (node.kind === 'alternation') {
      for (let step = 1; step <= total; step += 1) into.add(step);
      for (const item of node.items) collectSteps(item, total, timing, into);
    } else {
      const step = stepOf(node.when, total, timing);
      if (step >= 1) into.add(step);
      collectSteps(node.before, total, timing, into);
      collectSteps(node.after, total, timing, into);
    }
  }
}

function textAt(nodes: readonly ScheduleNode[], step: number, total: number, timing: ScheduleTiming): string {
  let text = '';
  for (const node of nodes) {
    if (typeof node === 'string') text += node;
    else if (node.kind === 'alternation') {
      text += textAt(node.items[(step - 1) % node.items.length] ?? [], step, total, timing);
    } else {
      text += textAt(step <= stepOf(node.when, total, timing) ? node.before : node.after, step, total, timing);
    }
  }
  return text;
}

/**
 * What a prompt says over a run: `[from:to:when]`, `[to:when]`, `[from::when]` and `[a|b]` resolved, one stage for each
 * step at which they change, the last one up to the last step. As the webui has it, the n-th model call (from 0) takes
 * the first stage with n ≤ until, so the first stage lasts a call longer than it says.
 * @throws UsageError for brackets nested too deep, and for a text too long to be written out for every stage
 */
export function promptStages(text: string, timing: ScheduleTiming, field: PromptField = 'prompt'): PromptStage[] {
  const total = timing.old === true ? timing.steps : (timing.hiresSteps ?? timing.steps);
  const nodes = text.includes('[') ? parseSchedule(text, field) : undefined;
  if (nodes === undefined) return [{ until: total, text }];
  const steps = new Set([total]);
  collectSteps(nodes, total, timing, steps);
  if (steps.size * text.length > LIMITS.scheduleCharacters) {
    throw new UsageError(
      `the ${fieldLabel(field)} has ${text.length} characters and changes ${steps.size - 1} times over the steps, ` +
        `more than ${LIMITS.scheduleCharacters} characters in all; shorten it or use fewer schedules`,
      field,
    );
  }
  return [...steps].sort((a, b) => a - b).map((until) => ({ until, text: textAt(nodes, until, total, timing) }));
}

/** The place of the stage that holds at a model call, counted from 0; past the last stage the first one holds again. */
export function stageAt(stages: readonly { readonly until: number }[], call: number): number {
  return Math.max(
    0,
    stages.findIndex(({ until }) => call <= until),
  );
}
