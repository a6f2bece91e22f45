import { describe, expect, it } from 'vitest';
import { fixturePath } from '../support/eval.js';
import { readSafetensors, type Tensor } from '../support/safetensors.js';
import { rowsError, rowsOf, runSampler } from '../support/sampler-run.js';

/**
 * DDIM over a network that predicts v = 0.3·sin x + 0.2·x, on a schedule that is rescaled to zero terminal SNR: diffusers'
 * last cumulative alpha is 0, the webui's, which is ours, 4.9e-8. There x0 = √ā·x − √(1−ā)·v, so that √ā = 2.2e-4 of x
 * makes the whole difference: the trajectories part by 9e-5 of their largest value, ten times what rounding does.
 */
const NAME = 'ddim_v_trailing_zsnr';
const LAST = 4.8973451890853435e-8;
const fixture = readSafetensors(fixturePath('diffusers_schedulers.safetensors'));
const [x0, noise] = [fixture.get('x0'), fixture.get('noise')];
const expected = rowsOf(fixture.get(`traj.${NAME}`));
const times = [...fixture.get(`t.${NAME}`).data, -1];

/** Rescaled as the paper does (Lin et al. 2023), with the last value that is asked for. */
function rescaled(last: number): number[] {
  const roots = Array.from(fixture.get('alphas_cumprod').data, Math.sqrt);
  const [first = 0, end = 0] = [roots[0], roots.at(-1)];
  const all = roots.map((root) => ((root - end) * (first / (first - end))) ** 2);
  return [...all.slice(0, -1), last];
}

/** DDIM with eta 0 in float64. */
function ddim(alphas: readonly number[]): number[][] {
  const alphaAt = (t: number): number => (t < 0 ? 1 : (alphas[t] ?? Number.NaN));
  let x = Array.from(x0.data, Number);
  const rows = [x];
  for (const [i, t] of times.slice(0, -1).entries()) {
    const [a, next] = [alphaAt(t), alphaAt(times[i + 1] ?? -1)];
    x = x.map((value) => {
      const v = 0.3 * Math.sin(value) + 0.2 * value;
      const clean = Math.sqrt(a) * value - Math.sqrt(1 - a) * v;
      const e = Math.sqrt(a) * v + Math.sqrt(1 - a) * value;
      return Math.sqrt(next) * clean + Math.sqrt(1 - next) * e;
    });
    rows.push(x);
  }
  return rows;
}

describe('zero terminal SNR', () => {
  const ours = rescaled(LAST);
  const alphasCumprod: Tensor = { dtype: 'F32', shape: [1000], data: Float32Array.from(ours) };
  const sigmas = times.map((t) => (t < 0 ? 0 : Math.sqrt((1 - (ours[t] ?? 0)) / (ours[t] ?? 1))));
  const { rows, calls } = runSampler('ddim', { x0, noise, alphasCumprod, timesteps: times, sigmas }, [
    ...['--eta', '0', '--velocity'],
  ]);

  it('follows diffusers but for the last alpha', () => {
    expect(calls).toEqual(times.slice(0, -1));
    const error = rowsError(rows, expected);
    expect(error).toBeLessThan(2e-4);
    expect(error).toBeGreaterThan(5e-5);
  });

  it('parts from it by that alpha alone', () => {
    // In float64 the alpha of diffusers gives its trajectory, and ours is as far from it as we are.
    expect(rowsError(ddim(rescaled(0)), expected)).toBeLessThan(1e-5);
    const apart = rowsError(ddim(ours), expected);
    expect(Math.abs(apart - rowsError(rows, expected))).toBeLessThan(0.2 * apart);
  });
});

describe('a single step', () => {
  const alphas = fixture.get('alphas_cumprod').data;
  const alphasCumprod = fixture.get('alphas_cumprod');
  const t = 981;
  const a = alphas[t] ?? Number.NaN;
  const timesteps = [t, -1];
  const sigmas = [Math.sqrt((1 - a) / a), 0];

  it.each(['ddim', 'plms'])('of %s goes straight to what the network takes for clean', (id) => {
    const result = runSampler(id, { x0, noise, alphasCumprod, timesteps, sigmas }, ['--velocity']);
    const clean = Array.from(x0.data, (x) => Math.sqrt(a) * x - Math.sqrt(1 - a) * (0.3 * Math.sin(x) + 0.2 * x));
    expect(result.rows).toHaveLength(2);
    // PLMS begins with an improved Euler step, which looks a second time; DDIM's only look decides.
    if (id === 'ddim') expect(rowsError(result.rows.slice(1), [clean])).toBeLessThan(1e-5);
    expect(result.calls).toHaveLength(id === 'ddim' ? 1 : 2);
    expect(result.rows[1]?.every(Number.isFinite)).toBe(true);
  });
});
