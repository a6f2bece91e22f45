import type { ProbeOptions } from '../native/bench-types.js';
import { chunkCount, type PlanPart } from '../pipeline/plan.js';
import type { GenerationResult } from '../runtime/finalize.js';
import { whatFits } from '../runtime/fitting.js';
import { formatBytes, hasRoom, missingShares, type Room } from '../runtime/memory.js';
import type { PreparedRun } from '../runtime/prepare.js';
import type { ProfileRow } from '../runtime/profile.js';
import { estimateTime, workOf } from '../runtime/work.js';
import { formatDuration } from './progress.js';

/** Columns aligned by spaces; those named in `right` to the right. */
export function formatTable(rows: readonly (readonly string[])[], right: readonly number[] = []): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => {
          const width = widths[column] ?? 0;
          return right.includes(column) ? cell.padStart(width) : cell.padEnd(width);
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** The --profile table: time, speed and share of each kind of op in each part. */
export function formatProfile(rows: readonly ProfileRow[]): string {
  const body = rows.map((row) => [
    row.part,
    row.op,
    String(row.calls),
    `${(row.seconds * 1000).toFixed(2)} ms`,
    row.gflops.toFixed(2),
    `${(row.share * 100).toFixed(1)} %`,
  ]);
  return `${formatTable([['part', 'op', 'calls', 'time', 'GFLOP/s', 'share'], ...body], [2, 3, 4, 5])}\n`;
}

/** Facts of a plan, without its token ids, sigmas and timesteps. */
function planFacts({ plan, planSha256 }: PreparedRun) {
  const { prompt, negativePrompt, sigmas, timesteps: _timesteps, batches, format: _, ...facts } = plan;
  return {
    sha256: planSha256,
    ...facts,
    prompt: prompt.text,
    negativePrompt: negativePrompt.text,
    promptParts: prompt.parts.length,
    promptTexts: prompt.parts.reduce((sum, { texts }) => sum + texts.length, 0),
    promptChunks: chunkCount(prompt.parts),
    negativePromptChunks: chunkCount([negativePrompt.part]),
    sigmaMax: sigmas[0],
    images: batches.flat().length,
  };
}

/** What --json prints for a run. */
export function runDocument(result: GenerationResult) {
  const { prepared, images, gridPath, times, profile } = result;
  return {
    files: images.map((image) => ({
      path: image.path,
      seed: image.seed,
      width: image.width,
      height: image.height,
      fileSha256: image.fileSha256,
      pixelSha256: image.pixelSha256,
      latentSha256: image.latentSha256,
      retriedInFp32: image.retriedInFp32,
      parameters: image.infotext,
    })),
    ...(gridPath === undefined ? {} : { grid: gridPath }),
    device: prepared.context.device,
    plan: planFacts(prepared),
    estimate: prepared.estimate,
    timings: times,
    ...(profile === undefined ? {} : { profile }),
  };
}

/** The lines of a second pass. */
function hiresRows({ hires, textWindow }: PreparedRun['plan']): [string, string][] {
  if (hires === null) return [];
  const { resized, sampler, upscaler, denoisingStrength, sigmas } = hires;
  const cut = resized.width === hires.width && resized.height === hires.height ? '' : 'the middle of ';
  return [
    [
      'then',
      `${hires.width}x${hires.height} by ${upscaler} (${cut}${resized.width}x${resized.height}), latent ` +
        `${hires.latentWidth}x${hires.latentHeight}${tilingText({ tiling: hires.resizedTiling }, 'encoded')}${tilingText(hires)}`,
    ],
    [
      '',
      `${hires.steps} steps of ${sampler.name} (${sampler.id}), scheduler ${sampler.scheduler}, from sigma ` +
        `${(sigmas[0] ?? 0).toFixed(4)} (strength ${denoisingStrength}), cfg scale ${hires.cfgScale}`,
    ],
    ['', `${describeParts(hires.prompt.parts, textWindow)}: ${hires.prompt.text}`],
  ];
}

function tilingText({ tiling }: Pick<PreparedRun['plan'], 'tiling'>, what = 'decoded'): string {
  return tiling === 'none' ? '' : `, ${what} in tiles of ${tiling.tile} with an overlap of ${tiling.overlap}`;
}

/** The lines of what a run begins with. */
function startRows({ start, steps }: PreparedRun['plan']): [string, string][] {
  if (start === null) return [];
  const { pictures, encoded, output, mask, resizeMode, denoisingStrength, exactSteps } = start;
  const [first] = pictures;
  if (first === undefined) return [];
  const more = pictures.length > 1 ? ` and ${pictures.length - 1} more` : '';
  const placed =
    output.width === encoded.width && output.height === encoded.height
      ? ''
      : `, put back into ${output.width}x${output.height}`;
  return [
    [
      'begins with',
      `a picture of ${first.width}x${first.height} (${first.sha256.slice(0, 12)})${more}, ${resizeMode} to ${encoded.width}x${encoded.height}` +
        `${tilingText(start, 'encoded')}${placed}`,
    ],
    ['', `strength ${denoisingStrength}, ${exactSteps ? `exactly ${steps}` : `of ${steps}`} steps`],
    ...(mask === null
      ? []
      : ([
          [
            'mask',
            `${mask.picture.width}x${mask.picture.height} (${mask.picture.sha256.slice(0, 12)})` +
              `${mask.invert ? ', inverted' : ''}, blur ${mask.blurX} and ${mask.blurY}, content ${mask.content}, area ${mask.area}` +
              `${mask.area === 'masked' ? ` with ${mask.padding} around` : ''}`,
          ],
        ] satisfies [string, string][])),
  ];
}

/** Measures the processor's peak, in GFLOP/s. */
export type Probe = (options: ProbeOptions) => Promise<number>;

/** What --dry-run prints: the plan as a whole, and whether it fits; with a probe also how long it takes. */
export async function dryRunDocument(prepared: PreparedRun, room: Room, probe?: Probe) {
  const { plan, planSha256, estimate, memory, context, sheet } = prepared;
  const fits = hasRoom(memory, room);
  const shares = missingShares(memory, room);
  const host = shares.find(({ device }) => device === undefined);
  const own = shares.find(({ device }) => device !== undefined);
  const work = workOf(plan, context);
  return {
    plan,
    planSha256,
    model: context.model.path,
    device: context.device,
    estimate,
    memory: {
      neededBytes: host?.bytes ?? 0,
      availableBytes: host?.available ?? null,
      fits,
      // Of a device with memory of its own.
      ...(own === undefined ? {} : { device: { neededBytes: own.bytes, availableBytes: own.available ?? null } }),
      // What would fit instead, where this does not.
      ...(fits ? {} : { alternatives: whatFits(plan, context, sheet, room) }),
    },
    work,
    ...(probe === undefined ? {} : { time: (await estimateTime(work, context, probe)) ?? null }),
  };
}

/** "2 × 77 tokens", and what AND and schedules make of it. */
function describeParts(parts: readonly PlanPart[], textWindow: number): string {
  const texts = parts.reduce((sum, part) => sum + part.texts.length, 0);
  const size = `${chunkCount(parts)} × ${textWindow} tokens`;
  return `${size}${parts.length > 1 ? `, ${parts.length} parts` : ''}${texts > parts.length ? `, ${texts} texts` : ''}`;
}

type DryRun = Awaited<ReturnType<typeof dryRunDocument>>;

function fittingText(alternatives: readonly string[]): string {
  return alternatives.length === 0 ? 'no, at no size' : `no; it would with ${alternatives.join(', or ')}`;
}

function workText({ plan, work }: DryRun): string {
  const { count, isExact } = work.evaluations;
  const batches = plan.batches.length > 1 ? ` a batch, ${plan.batches.length} batches` : '';
  return `about ${(work.total / 1e9).toFixed(1)} GFLOP: ${isExact ? '' : 'perhaps '}${count} evaluations${batches}`;
}

/** "0.42 s", "14 s", "1:05:00". */
function secondsText(seconds: number): string {
  if (seconds >= 60) return formatDuration(seconds);
  return `${seconds < 10 ? seconds.toPrecision(2) : Math.round(seconds)} s`;
}

function timeText(time: DryRun['time'], isExact: boolean): string {
  if (time === undefined || time === null) return 'unknown: the peak of this device cannot be measured';
  const { seconds, peakGflops, shares } = time;
  const percent = (share: number): string => `${Math.round(share * 100)} %`;
  const basis =
    `text ${secondsText(seconds.text)}, sampling ${secondsText(seconds.unet)}, the VAE ${secondsText(seconds.vae)}, after ` +
    `loading; reckoned from a measured peak of ${peakGflops.toFixed(0)} GFLOP/s, of which ${percent(shares.text)}, ` +
    `${percent(shares.unet)}, ${percent(shares.vae)} are usual`;
  return `about ${secondsText(seconds.total)}${isExact ? '' : ', by a usual number of evaluations'} (${basis})`;
}

function memoryText(memory: { readonly neededBytes: number; readonly availableBytes: number | null }): string {
  const available = memory.availableBytes === null ? 'unknown' : formatBytes(memory.availableBytes);
  return `${formatBytes(memory.neededBytes)} needed, ${available} available`;
}

export function formatDryRun(document: DryRun): string {
  const { plan, planSha256, memory, device, model, work } = document;
  const seeds = plan.batches.flat();
  const sigmas = plan.sigmas.map((sigma) => sigma.toFixed(4));
  const shown = sigmas.length > 8 ? [...sigmas.slice(0, 4), '…', ...sigmas.slice(-3)] : sigmas;
  return `${formatTable([
    ['plan', planSha256],
    ['model', `${plan.model.name} (${plan.model.family}, ${plan.model.sha256.slice(0, 10)}) ${model}`],
    ...(plan.model.vae === null
      ? []
      : [['vae', `${plan.model.vae.name} (${plan.model.vae.sha256.slice(0, 10)}) in the place of its own`]]),
    ['device', `${device.name} ${device.precision} (${device.isa})`],
    ['size', `${plan.width}x${plan.height}, latent ${plan.latentWidth}x${plan.latentHeight}${tilingText(plan)}`],
    ['prompt', `${describeParts(plan.prompt.parts, plan.textWindow)}: ${plan.prompt.text}`],
    [
      'negative',
      plan.negativePrompt.part === null
        ? 'never evaluated at cfg scale 1'
        : `${describeParts([plan.negativePrompt.part], plan.textWindow)}: ${plan.negativePrompt.text}`,
    ],
    ['sampler', `${plan.sampler.name} (${plan.sampler.id}), scheduler ${plan.sampler.scheduler}`],
    ['steps', `${plan.steps}, cfg scale ${plan.cfgScale}, clip skip ${plan.clipSkip}, noise ${plan.noiseSource}`],
    ['sigmas', shown.join(' ')],
    ...startRows(plan),
    ...hiresRows(plan),
    ['seeds', `${seeds.slice(0, 8).join(' ')}${seeds.length > 8 ? ` … (${seeds.length})` : ''}`],
    ...(memory.device === undefined ? [] : [['memory', `${memoryText(memory.device)} on ${device.name}`]]),
    ['memory', memoryText(memory)],
    ['fits', memory.fits ? 'yes' : fittingText(memory.alternatives ?? [])],
    ['work', workText(document)],
    ...(document.time === undefined ? [] : [['time', timeText(document.time, work.evaluations.isExact)]]),
  ])}\n`;
}
