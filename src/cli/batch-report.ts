import { join } from 'node:path';
import type { ItemPlan } from '../batch/executor.js';
import type { BatchEntry, BatchTotals, ItemOutcome } from '../batch/runner.js';
import { FailureError, UsageError } from '../request/errors.js';
import { formatBytes } from '../runtime/memory.js';
import type { Flags } from './flags.js';

const codeOf = (error: unknown): string => (error instanceof FailureError ? error.code : 'E_USAGE');

/** The common part of all documents of an item. */
function entryFacts({ number, line, content }: BatchEntry) {
  const made = content instanceof UsageError ? undefined : content;
  return {
    number: number + 1,
    line: line.line,
    ...(made === undefined ? {} : { item: made.id, origin: made.item.origin, request: made.item.request }),
  };
}

/** Where there are any. */
const notesOf = (plan: ItemPlan | undefined) =>
  plan === undefined || plan.notes.length === 0 ? {} : { notes: plan.notes };

/** What --json prints for an item that ended. */
export function outcomeDocument(outcome: ItemOutcome, output: string) {
  const { state, plan, files, made, error } = outcome;
  return {
    ...entryFacts(outcome),
    state,
    plan: plan ?? null,
    files: files.map(({ name, sha256, seed }, i) => {
      const image = made?.images[i];
      return {
        path: join(output, name),
        seed,
        fileSha256: sha256,
        ...(image === undefined
          ? {}
          : {
              width: image.width,
              height: image.height,
              pixelSha256: image.pixelSha256,
              latentSha256: image.latentSha256,
              parameters: image.infotext,
            }),
      };
    }),
    ...notesOf(made?.plan),
    ...(made === undefined ? {} : { timings: made.times }),
    ...(error === undefined ? {} : { error: { code: codeOf(error), message: error.message } }),
  };
}

/** What --json prints for a line that stands for nothing. */
export function badLineDocument(line: number, error: UsageError | FailureError) {
  return { line, state: 'failed', error: { code: codeOf(error), message: error.message } };
}

/** "40 items: 38 made, 1 there already, 1 failed". */
export function totalsText({ done, skipped, failed }: BatchTotals, all: number): string {
  const parts = [`${done} made`];
  if (skipped > 0) parts.push(`${skipped} there already`);
  if (failed > 0) parts.push(`${failed} failed`);
  return `${all} ${all === 1 ? 'item' : 'items'}: ${parts.join(', ')}`;
}

const flopsOf = ({ estimate: { parts }, steps, images }: ItemPlan): number =>
  parts.text.flops + parts.unet.flops * steps + parts.vae.flops * images;

/** One item of --dry-run. */
export interface DryItem {
  readonly entry: BatchEntry;
  readonly plan: ItemPlan | undefined;
  readonly complete: boolean;
  /** Whether its plan will be this one: not where a seed is still to be drawn. */
  readonly settled: boolean;
  readonly error: UsageError | FailureError | undefined;
}

export function dryDocument({ entry, plan, complete, settled, error }: DryItem) {
  return {
    ...entryFacts(entry),
    state: error !== undefined ? 'failed' : complete ? 'complete' : 'open',
    plan: settled ? (plan?.sha256 ?? null) : null,
    ...(plan === undefined
      ? {}
      : { steps: plan.steps, images: plan.images, flops: flopsOf(plan), peakBytes: plan.estimate.peakBytes }),
    ...notesOf(plan),
    ...(error === undefined ? {} : { error: { code: codeOf(error), message: error.message } }),
  };
}

export function dryLine({ entry, plan, complete, settled }: DryItem): string {
  const { number, line, content } = entry;
  if (plan === undefined || content instanceof UsageError) return '';
  const labels = content.item.origin.axes.map(({ label }) => label.replace(/\s+/g, ' ').slice(0, 60));
  const seed = settled ? `seed ${String(content.item.fields.seed)}` : 'a seed to be drawn';
  return (
    `#${number + 1} line ${line.line}: ${plan.width}x${plan.height}, ${plan.steps} steps, ${seed}, model ${plan.model}` +
    `${labels.length === 0 ? '' : ` (${labels.join('; ')})`}, plan ${settled ? plan.sha256.slice(0, 12) : '-'}, ` +
    `${(flopsOf(plan) / 1e9).toFixed(1)} GFLOP${complete ? ', complete' : ''}\n`
  );
}

/** What is left to make, and the most that an item takes. */
export function drySummary(items: readonly Pick<DryItem, 'plan' | 'complete'>[]): string {
  const open = items.flatMap(({ plan, complete }) => (complete || plan === undefined ? [] : [plan]));
  const images = open.reduce((sum, plan) => sum + plan.images, 0);
  const flops = open.reduce((sum, plan) => sum + flopsOf(plan), 0);
  const peak = open.reduce((most, { estimate }) => Math.max(most, estimate.peakBytes), 0);
  return (
    `${items.length} items, ${open.length} to make: ${images} pictures, about ${(flops / 1e9).toFixed(1)} GFLOP, ` +
    `at most ${formatBytes(peak)} of memory at once\n`
  );
}

const quote = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

/** The command that goes on with a batch: its own flags, and --resume. */
export function resumeCommand(file: string, { values, origins, nameOf }: Flags): string {
  const words = Object.entries(values).flatMap(([field, value]): string[] => {
    if (origins[field] !== 'flag' || field === 'resume') return [];
    const name = nameOf(field);
    if (value === true) return [name];
    if (typeof value === 'boolean') return [name, 'off'];
    if (!Array.isArray(value)) return [name, String(value)];
    return field === 'sigmas' ? [name, value.join(',')] : value.flatMap((one) => [name, String(one)]);
  });
  return ['sdgen', 'batch', file, ...words, '--resume'].map(quote).join(' ');
}
