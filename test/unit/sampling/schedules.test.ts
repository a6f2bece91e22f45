import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../../../src/request/errors.js';
import { LIMITS } from '../../../src/request/limits.js';
import { findSampler, SAMPLERS, type SamplerInfo } from '../../../src/sampling/samplers.js';
import {
  builtSchedulers,
  computeSigmas,
  findScheduler,
  modelSigmas,
  SCHEDULERS,
  sigmaToT,
  tToSigma,
} from '../../../src/sampling/schedules.js';

const euler = findSampler('Euler');
const BUILT = ['uniform', 'karras', 'exponential'] as const;

function known(id: string): SamplerInfo {
  const info = SAMPLERS.find((entry) => entry.id === id);
  if (info === undefined) throw new Error(id);
  return info;
}

describe('findScheduler', () => {
  it('knows names, labels and aliases in any case', () => {
    expect(findScheduler(' Karras').name).toBe('karras');
    expect(findScheduler('AUTOMATIC').name).toBe('automatic');
    expect(builtSchedulers()).toEqual(['Automatic', 'Uniform', 'Karras', 'Exponential']);
    const names = SCHEDULERS.flatMap(({ name, label, aliases }) => [name, ...new Set([label, ...aliases])]);
    for (const name of names) expect([name, outcome(name)]).not.toContain('unknown');
  });

  function outcome(name: string): string {
    try {
      return findScheduler(name).name;
    } catch (error) {
      return (error as Error).message.split(' ')[0] ?? '';
    }
  }

  it('refuses what is not built by name, and offers names for what is unknown', () => {
    expect(() => findScheduler('sgmuniform')).toThrow(
      'scheduler "SGM Uniform" is known, but not built yet; built: Auto',
    );
    expect(() => findScheduler('karas')).toThrow(/^unknown scheduler "karas"; did you mean Karras/);
    expect(() => findScheduler('x'.repeat(200))).toThrow(UsageError);
  });
});

describe('computeSigmas', () => {
  it.each(BUILT)('%s goes down to 0 from the largest sigma to the smallest, for any number of steps', (scheduler) => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 200 }), (steps) => {
        const { sigmas } = computeSigmas({ sampler: euler, scheduler, steps });
        expect(sigmas).toHaveLength(steps + 1);
        expect(sigmas[0]).toBeCloseTo(14.6146412, 5);
        expect(sigmas[steps - 1]).toBeCloseTo(0.0291671582, 7);
        expect(sigmas[steps]).toBe(0);
        for (let i = 0; i < steps; i += 1) expect(sigmas[i]).toBeGreaterThan(sigmas[i + 1] ?? Number.NaN);
      }),
    );
  });

  it.each(BUILT)('%s of one step is the largest sigma and 0', (scheduler) => {
    const { sigmas } = computeSigmas({ sampler: euler, scheduler, steps: 1 });
    expect(sigmas).toHaveLength(2);
    expect(sigmas[0]).toBeCloseTo(14.6146412, 5);
    expect(sigmas[1]).toBe(0);
  });

  it('resolves "automatic" to the sampler\'s own and says how a picture shows it', () => {
    const resolve = (sampler: SamplerInfo, scheduler = findScheduler('automatic')): string[] => {
      const { scheduler: name, label } = computeSigmas({ sampler, scheduler, steps: 4 });
      return [name, label];
    };
    expect(resolve(findSampler('DPM++ 2M'))).toEqual(['karras', 'Karras']);
    expect(resolve(euler)).toEqual(['uniform', 'Automatic']);
    expect(resolve(known('dpmpp_2m_sde'))).toEqual(['exponential', 'Exponential']);
    expect(resolve(euler, findScheduler('uniform'))).toEqual(['uniform', 'Uniform']);
  });

  it('drops the last but one of steps + 1 where the sampler wants it', () => {
    const longer = computeSigmas({ sampler: euler, scheduler: 'karras', steps: 9 }).sigmas;
    const { sigmas } = computeSigmas({ sampler: known('dpm_2'), scheduler: 'karras', steps: 8 });
    expect([...sigmas]).toEqual([...longer.slice(0, 8), 0]);
  });

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, LIMITS.steps.max + 1])('refuses %s steps', (steps) => {
    expect(() => computeSigmas({ sampler: euler, scheduler: 'karras', steps })).toThrow(
      /^steps must be a whole number/,
    );
  });

  it('refuses schedules that are not built and samplers that make their own', () => {
    expect(() => computeSigmas({ sampler: euler, scheduler: 'beta', steps: 4 })).toThrow(
      /"Beta" is known, but not built/,
    );
    expect(() => computeSigmas({ sampler: known('ddim'), scheduler: 'karras', steps: 4 })).toThrow(
      /makes its own schedule/,
    );
  });
});

describe('sigma and timestep', () => {
  const sigmas = modelSigmas();

  it('are inverse to each other, and clamped at the ends', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 999, noNaN: true }), (t) => {
        expect(sigmaToT(sigmas, tToSigma(sigmas, t))).toBeCloseTo(t, 6);
      }),
    );
    expect([sigmaToT(sigmas, 0), sigmaToT(sigmas, Number.NaN), sigmaToT(sigmas, 1e9)]).toEqual([0, 0, 999]);
    expect([tToSigma(sigmas, -5), tToSigma(sigmas, 5000)]).toEqual([sigmas[0], sigmas[999]]);
    expect(tToSigma(sigmas, 500)).toBe(sigmas[500]);
  });

  it('need a table', () => {
    expect(() => tToSigma(new Float64Array(0), 1)).toThrow(RangeError);
  });
});
