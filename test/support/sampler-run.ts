import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { evaluate, writeSafetensors } from './eval.js';
import type { Tensor } from './safetensors.js';

/** What a sampler is given on the analytic denoiser; latents are [1, C, H, W]. */
export interface SamplerInputs {
  readonly x0: Tensor;
  readonly noise: Tensor;
  readonly sigmas: ArrayLike<number>;
  readonly timesteps?: ArrayLike<number>;
  readonly alphasCumprod?: Tensor;
}

export interface SamplerResult {
  /** x at the start and after every report, row by row. */
  readonly rows: readonly (readonly number[])[];
  /** x of every evaluation. */
  readonly seen: readonly (readonly number[])[];
  /** Sigma or timestep of every evaluation. */
  readonly calls: readonly number[];
  /** [done, of] of every report. */
  readonly reports: readonly (readonly number[])[];
  readonly drawn: number;
}

function vector(values: ArrayLike<number>): Tensor {
  return { dtype: 'F32', shape: [values.length], data: Float32Array.from(values) };
}

export function rowsOf({ data, shape }: Tensor): number[][] {
  const count = shape[0] ?? 0;
  const size = data.length / Math.max(count, 1);
  return Array.from({ length: count }, (_, i) => [...data.subarray(i * size, (i + 1) * size)]);
}

/** Runs a native sampler on the analytic denoiser. */
export function runSampler(id: string, inputs: SamplerInputs, flags: readonly string[] = []): SamplerResult {
  const folder = mkdtempSync(join(tmpdir(), 'sdgen-sampler-'));
  try {
    const path = join(folder, 'in.safetensors');
    writeSafetensors(path, {
      x0: inputs.x0,
      noise: inputs.noise,
      'sigmas.s': vector(inputs.sigmas),
      ...(inputs.timesteps === undefined ? {} : { 'timesteps.s': vector(inputs.timesteps) }),
      ...(inputs.alphasCumprod === undefined ? {} : { alphas_cumprod: inputs.alphasCumprod }),
    });
    const { get } = evaluate('sampler', path, ['--sampler', id, '--schedule', 's', ...flags]);
    const named = (what: string) => get(`${what}.s.${id}`);
    return {
      rows: rowsOf(named('traj')),
      seen: rowsOf(named('seen')),
      calls: [...named('calls').data],
      reports: rowsOf(named('reports')),
      drawn: named('noise_drawn').data[0] ?? Number.NaN,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** max|a − b| over all rows, divided by the largest |b|; infinite where counts differ or a value is not finite. */
export function rowsError(actual: readonly (readonly number[])[], expected: readonly (readonly number[])[]): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let difference = 0;
  let largest = 0;
  for (const [i, row] of expected.entries()) {
    for (const [k, b] of row.entries()) {
      difference = Math.max(difference, Math.abs((actual[i]?.[k] ?? Number.NaN) - b));
      largest = Math.max(largest, Math.abs(b));
    }
  }
  return Number.isFinite(difference) && largest > 0 ? difference / largest : Number.POSITIVE_INFINITY;
}

/** The analytic denoiser D(x, sigma) of the fixtures. */
export function analyticDenoiser(x: number, sigma: number): number {
  const s2 = sigma * sigma;
  return x / (1 + s2) + 0.1 * (s2 / (1 + s2)) * Math.tanh(x / Math.sqrt(1 + s2));
}
