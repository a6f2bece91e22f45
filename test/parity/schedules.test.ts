import { describe, expect, it } from 'vitest';
import { findSampler } from '../../src/sampling/samplers.js';
import { computeSigmas, type SchedulerName } from '../../src/sampling/schedules.js';
import { modelSigmas, sigmaToT, tToSigma } from '../../src/sampling/trained-sigmas.js';
import { readSafetensors } from '../support/safetensors.js';

const fixture = readSafetensors(new URL('../fixtures/k_diffusion_samplers.safetensors', import.meta.url));
const values = (name: string): number[] => Array.from(fixture.get(name).data);
const euler = findSampler('Euler');

/**
 * The fixture's table of sigmas is a product of float32 values of 1 - beta, as the webui's is, ours of float64 ones:
 * that alone moves a sigma by up to 1.3e-5 of itself. Float32 rounding of both adds 1e-7.
 */
const RELATIVE = 1.4e-5;

function expectNear(ours: ArrayLike<number>, theirs: readonly number[]): void {
  expect(ours).toHaveLength(theirs.length);
  for (const [i, expected] of theirs.entries()) {
    expect(Math.abs((ours[i] ?? Number.NaN) - expected)).toBeLessThanOrEqual(RELATIVE * Math.abs(expected));
  }
}

describe("k-diffusion's schedules", () => {
  it('have the same 1000 sigmas', () => {
    expectNear(modelSigmas(), values('sd.sigmas'));
  });

  it.each<[SchedulerName, number, string]>([
    ['uniform', 10, 'sigmas.sd'],
    ['uniform', 20, 'sigmas.sd20'],
    ['karras', 10, 'sigmas.karras'],
    ['karras', 20, 'sigmas.karras20'],
    ['exponential', 10, 'sigmas.exponential'],
    ['polyexponential', 10, 'sigmas.polyexponential'],
  ])('%s of %i steps', (scheduler, steps, name) => {
    expectNear(computeSigmas({ sampler: euler, scheduler, steps }).sigmas, values(name));
  });

  it('have the same way from a timestep to a sigma', () => {
    const sigmas = modelSigmas();
    expectNear(
      values('sd.t_to_sigma.t').map((t) => tToSigma(sigmas, t)),
      values('sd.t_to_sigma.sigma'),
    );
  });

  it('and back', () => {
    const sigmas = modelSigmas();
    const ours = values('sd.sigma_to_t.sigma').map((sigma) => sigmaToT(sigmas, sigma));
    // Neighbouring sigmas are 0.5 % apart where they are closest, so 1.3e-5 of a sigma is 0.0026 of a timestep.
    for (const [i, t] of values('sd.sigma_to_t.t').entries())
      expect(Math.abs((ours[i] ?? Number.NaN) - t)).toBeLessThan(0.004);
  });
});

describe("the webui's five steps of SD1, to the printed digits", () => {
  it.each<[SchedulerName, number[]]>([
    ['uniform', [14.6146, 4.0861, 1.6156, 0.6951, 0.0292, 0]],
    ['karras', [14.6146, 4.7965, 1.2741, 0.2479, 0.0292, 0]],
    ['exponential', [14.6146, 3.089, 0.6529, 0.138, 0.0292, 0]],
    ['polyexponential', [14.6146, 3.089, 0.6529, 0.138, 0.0292, 0]],
    ['sgm_uniform', [14.6146, 5.0924, 2.2797, 1.1629, 0.5712, 0]],
    ['kl_optimal', [14.6146, 2.6329, 1.2948, 0.7116, 0.3356, 0.0292]],
    ['align_your_steps', [14.615, 3.2269, 1.396, 0.51, 0.029, 0]],
    ['simple', [14.6146, 5.0878, 2.2765, 1.1606, 0.5693, 0]],
    ['normal', [14.6146, 4.0861, 1.6156, 0.6951, 0.0292, 0]],
    ['ddim', [5.1344, 2.2929, 1.1682, 0.5741, 0.0413, 0]],
    ['beta', [14.6146, 12.0523, 7.3219, 2.5915, 0.0292, 0]],
  ])('%s', (scheduler, printed) => {
    const { sigmas } = computeSigmas({ sampler: euler, scheduler, steps: 5 });
    expect(Array.from(sigmas, (sigma) => Number(sigma.toFixed(4)))).toEqual(printed);
  });

  it('and the ends of the table', () => {
    const sigmas = modelSigmas();
    expect([sigmas[0]?.toFixed(10), sigmas[999]?.toFixed(7)]).toEqual(['0.0291671582', '14.6146412']);
  });
});
