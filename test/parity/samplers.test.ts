import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { evaluate, fixturePath, relativeError } from '../support/eval.js';
import { readSafetensors } from '../support/safetensors.js';

/**
 * Trajectories of k-diffusion in float64 on an analytic denoiser. The bound of 1e-5 of a trajectory's largest value is
 * two to eight times what k-diffusion's own float32 arithmetic loses (the fixture's `fp32_error`, up to 5e-6).
 */
const BOUND = 1e-5;
const FIXTURE = fixturePath('k_diffusion_samplers.safetensors');
const fixture = readSafetensors(FIXTURE);
const drawn = JSON.parse(fixture.metadata.noise_drawn ?? '{}') as Record<string, number>;

const SAMPLERS: readonly (readonly [id: string, name: string, flags: readonly string[]])[] = [
  ['euler', 'euler', []],
  ['euler_ancestral', 'euler_ancestral', []],
  ['euler_ancestral', 'euler_ancestral_eta0.5', ['--eta', '0.5']],
  ['heun', 'heun', []],
  ['dpmpp_2m', 'dpmpp_2m', []],
  ['dpmpp_2s_ancestral', 'dpmpp_2s_ancestral', []],
  ['lms', 'lms', []],
  ['dpm_2', 'dpm_2', []],
  ['dpm_2_ancestral', 'dpm_2_ancestral', []],
  ['dpmpp_sde', 'dpmpp_sde', []],
  ['dpmpp_sde', 'dpmpp_sde_eta0.5', ['--eta', '0.5']],
  ['dpmpp_2m_sde', 'dpmpp_2m_sde', []],
  ['dpmpp_2m_sde', 'dpmpp_2m_sde_eta0', ['--eta', '0']],
  ['dpmpp_2m_sde_heun', 'dpmpp_2m_sde_heun', []],
  ['dpmpp_3m_sde', 'dpmpp_3m_sde', []],
];

function run(sampler: string, schedule: string, flags: readonly string[]) {
  const { get } = evaluate('sampler', FIXTURE, ['--sampler', sampler, '--schedule', schedule, ...flags]);
  const key = `${schedule}.${sampler}`;
  return { trajectory: get(`traj.${key}`), calls: get(`calls.${key}`), drawn: get(`noise_drawn.${key}`).data[0] };
}

describe.each(['sd', 'karras'])('on the %s schedule', (schedule) => {
  it.each(SAMPLERS)('%s follows %s', (id, name, flags) => {
    const actual = run(id, schedule, flags);
    expect(relativeError(actual.trajectory, fixture.get(`traj.${schedule}.${name}`))).toBeLessThan(BOUND);
    // Sigmas of the evaluations are the plan's own: float32 values, or exact combinations of them.
    expect(relativeError(actual.calls, fixture.get(`calls.${schedule}.${name}`))).toBeLessThan(1e-6);
    expect(actual.drawn).toBe(drawn[`${schedule}.${name}`]);
  });
});

describe('stochastic churn (Karras et al., Algorithm 2)', () => {
  const CHURN = 4;
  const sigmas = fixture.get('sigmas.karras').data;
  const noise = fixture.get('noise').data;
  const x0 = fixture.get('x0').data;
  const denoise = (x: number, sigma: number): number => {
    const s2 = sigma * sigma;
    return x / (1 + s2) + 0.1 * (s2 / (1 + s2)) * Math.tanh(x / Math.sqrt(1 + s2));
  };

  /** The algorithm in float64, value by value. */
  function expected(heun: boolean, tmin = 0, tmax = Number.POSITIVE_INFINITY): number[] {
    const steps = sigmas.length - 1;
    let x = Array.from(x0, (value) => value * (sigmas[0] ?? 0));
    const all = [...x];
    for (let i = 0; i < steps; i++) {
      const sigma = sigmas[i] ?? 0;
      const next = sigmas[i + 1] ?? 0;
      const applies = sigma >= tmin && sigma <= tmax;
      const raised = sigma * (1 + (applies ? Math.min(CHURN / steps, Math.SQRT2 - 1) : 0));
      x = x.map((value, k) => {
        const noisy = value + Math.sqrt(raised ** 2 - sigma ** 2) * (noise[i * x0.length + k] ?? 0);
        const slope = (noisy - denoise(noisy, raised)) / raised;
        const euler = noisy + (next - raised) * slope;
        if (!heun || next === 0) return euler;
        return noisy + (next - raised) * 0.5 * (slope + (euler - denoise(euler, next)) / next);
      });
      all.push(...x);
    }
    return all;
  }

  it('of some steps draws at every step, as k-diffusion does, and uses those inside', () => {
    const flags = ['--s-churn', String(CHURN), '--s-tmin', '0.1', '--s-tmax', '6'];
    const { trajectory, drawn: draws } = run('euler', 'karras', flags);
    const data = Float64Array.from(expected(false, 0.1, 6));
    expect(relativeError(trajectory, { dtype: 'F64', shape: trajectory.shape, data })).toBeLessThan(BOUND);
    expect(draws).toBe(sigmas.length - 1);
  });

  it.each([
    ['euler', false],
    ['heun', true],
  ] as const)('%s', (sampler, heun) => {
    const { trajectory, drawn: draws } = run(sampler, 'karras', ['--s-churn', String(CHURN)]);
    const data = Float64Array.from(expected(heun));
    expect(relativeError(trajectory, { dtype: 'F64', shape: trajectory.shape, data })).toBeLessThan(BOUND);
    expect(draws).toBe(sigmas.length - 1);
  });
});

describe('sdgen-eval', () => {
  it('says what is wrong and writes nothing', () => {
    const folder = mkdtempSync(join(tmpdir(), 'sdgen-eval-'));
    try {
      expect(() => run('nothing', 'sd', [])).toThrow(/exit 2: sdgen-eval: sampler 'nothing' is not built/);
      expect(() => run('euler', 'nothing', [])).toThrow(/no tensor 'sigmas.nothing'/);
      expect(() => run('euler', 'sd', ['--eta', 'x'])).toThrow(/--eta: 'x' is not a number/);
      expect(() => run('euler', 'sd', ['--wrong', '1'])).toThrow(/unknown flag '--wrong'/);
      const missing = join(folder, 'missing.safetensors');
      expect(() => evaluate('sampler', missing, ['--sampler', 'euler', '--schedule', 'sd'])).toThrow(
        /missing.safetensors/,
      );
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
