import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../../../src/request/errors.js';
import { LIMITS } from '../../../src/request/limits.js';
import { betaCdf, betaQuantile } from '../../../src/sampling/beta-distribution.js';
import { findSampler, type SamplerInfo } from '../../../src/sampling/samplers.js';
import {
  computeSigmas,
  findScheduler,
  SCHEDULE_DEFAULTS,
  SCHEDULERS,
  type SchedulerName,
  schedulerLabels,
} from '../../../src/sampling/schedules.js';
import { distilledTable, modelSigmas, sigmaToT, tToSigma } from '../../../src/sampling/trained-sigmas.js';

const euler = findSampler('Euler');
/** Those that go from the largest sigma to the smallest and then to 0. */
const WHOLE = ['uniform', 'karras', 'exponential', 'polyexponential', 'normal', 'beta'] as const;

describe('findScheduler', () => {
  it('knows names, labels and aliases in any case', () => {
    expect(findScheduler(' Karras').name).toBe('karras');
    expect(findScheduler('AUTOMATIC').name).toBe('automatic');
    expect(findScheduler('sgmuniform').name).toBe('sgm_uniform');
    expect(schedulerLabels()).toHaveLength(13);
    for (const info of SCHEDULERS) {
      for (const name of [info.name, info.label, ...info.aliases]) expect(findScheduler(name)).toBe(info);
    }
  });

  it('offers names for what is unknown', () => {
    expect(() => findScheduler('karas')).toThrow(/^unknown scheduler "karas"; did you mean Karras/);
    expect(() => findScheduler('x'.repeat(200))).toThrow(UsageError);
  });
});

describe('computeSigmas', () => {
  it.each(WHOLE)('%s goes down to 0 from the largest sigma to the smallest, for any number of steps', (scheduler) => {
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

  it.each(SCHEDULERS.map(({ name }) => name).filter((name) => name !== 'automatic'))(
    '%s falls, whatever the number of steps',
    (scheduler) => {
      for (const steps of [1, 2, 3, 7, 10, 11, 12, 30, 333, LIMITS.steps.max]) {
        const { sigmas } = computeSigmas({ sampler: euler, scheduler, steps });
        // DDIM's stride is a whole number, so its count is often another.
        if (scheduler !== 'ddim') expect([steps, sigmas.length]).toEqual([steps, steps + 1]);
        expect(sigmas.length).toBeGreaterThan(1);
        for (let i = 1; i < sigmas.length; i += 1) expect(sigmas[i]).toBeLessThan(sigmas[i - 1] ?? Number.NaN);
      }
    },
  );

  it.each(WHOLE)('%s of one step is the largest sigma and 0', (scheduler) => {
    const { sigmas } = computeSigmas({ sampler: euler, scheduler, steps: 1 });
    expect(sigmas).toHaveLength(2);
    expect(sigmas[0]).toBeCloseTo(14.6146412, 5);
    expect(sigmas[1]).toBe(0);
  });

  it('has the quirks of single schedules', () => {
    const of = (scheduler: SchedulerName, steps: number): number[] =>
      Array.from(computeSigmas({ sampler: euler, scheduler, steps }).sigmas, (sigma) => Number(sigma.toFixed(4)));
    expect(of('kl_optimal', 3).at(-1)).toBe(0.0292);
    expect(of('align_your_steps', 1)).toEqual([0.029, 0]);
    const table = [14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029, 0];
    expect(of('align_your_steps', 11)).toEqual(table);
    expect(of('ddim', 30)).toHaveLength(32);
    // Forge: timesteps 999, 749, 499, 249.
    const sigmas = modelSigmas();
    expect(of('turbo', 4)).toEqual([...[999, 749, 499, 249].map((t) => Number(sigmas[t]?.toFixed(4))), 0]);
    // 1000/16 - 1 = 61.5 goes to the even neighbour.
    expect(of('turbo', 16).at(-2)).toBe(Number(sigmas[62]?.toFixed(4)));
  });

  it('bends by settings, and says which had an effect', () => {
    const compute = (scheduler: SchedulerName, settings: Partial<typeof SCHEDULE_DEFAULTS>) =>
      computeSigmas({ sampler: euler, scheduler, steps: 4, settings: { ...SCHEDULE_DEFAULTS, ...settings } });
    const bent = compute('karras', { sigmaMin: 0.5, sigmaMax: 8, rho: 3 });
    // Karras et al. 2022, equation 5, at i = 1.
    const second = (2 + (1 / 3) * (0.5 ** (1 / 3) - 2)) ** 3;
    expect(bent.sigmas[1]).toBeCloseTo(second, 5);
    expect([bent.sigmas[0], bent.sigmas[3]].map((s) => s?.toFixed(5))).toEqual(['8.00000', '0.50000']);
    expect(bent.notes).toEqual([
      ['Schedule min sigma', 0.5],
      ['Schedule max sigma', 8],
      ['Schedule rho', 3],
    ]);
    expect(compute('karras', { rho: 7 }).notes).toEqual([]);
    const old = compute('exponential', { useOldKarrasSchedulerSigmas: true, rho: 5 });
    expect([old.sigmas[0], old.sigmas[3]].map((s) => s?.toFixed(5))).toEqual(['10.00000', '0.10000']);
    expect(old.notes).toEqual([['Old karras scheduler sigmas', true]]);
    expect(compute('beta', { betaDistAlpha: 1, betaDistBeta: 1 }).sigmas[1]).toBeCloseTo(
      14.6146412 - (14.6146412 - 0.0291671582) / 3,
      4,
    );
    expect(compute('beta', {}).notes).toEqual([
      ['Beta schedule alpha', 0.6],
      ['Beta schedule beta', 0.6],
    ]);
    const dropped = compute('karras', { alwaysDiscardNextToLastSigma: true });
    const longer = computeSigmas({ sampler: euler, scheduler: 'karras', steps: 5 }).sigmas;
    expect([...dropped.sigmas]).toEqual([...longer.slice(0, 4), 0]);
    expect(dropped.notes).toEqual([['Discard penultimate sigma', true]]);
    expect(() => compute('karras', { sigmaMin: 20 })).toThrow(
      'sigmaMin must be below sigmaMax; 20 is not below 14.614641',
    );
  });

  it('is made of distilled timesteps for a consistency model', () => {
    const table = distilledTable();
    const trained = modelSigmas();
    expect([...table.sigmas]).toEqual(Array.from({ length: 50 }, (_, i) => trained[20 * i + 19]));
    expect([table.toT(0.001), table.toT(100), table.toT(trained[260] ?? 0)]).toEqual([19, 999, 259]);
    expect(table.toSigma(29)).toBeCloseTo(Math.sqrt((trained[19] ?? 0) * (trained[39] ?? 0)), 12);
    const { sigmas, label } = computeSigmas({ sampler: findSampler('LCM'), scheduler: 'automatic', steps: 50 });
    expect(label).toBe('Automatic');
    expect([...sigmas]).toEqual([...Float32Array.from(table.sigmas).reverse(), 0]);
  });

  it('resolves "automatic" to the sampler\'s own and says how a picture shows it', () => {
    const resolve = (sampler: SamplerInfo, scheduler = findScheduler('automatic')): string[] => {
      const { scheduler: name, label } = computeSigmas({ sampler, scheduler, steps: 4 });
      return [name, label];
    };
    expect(resolve(findSampler('DPM++ 2M'))).toEqual(['karras', 'Karras']);
    expect(resolve(euler)).toEqual(['uniform', 'Automatic']);
    expect(resolve(findSampler('dpmpp_2m_sde'))).toEqual(['exponential', 'Exponential']);
    expect(resolve(euler, findScheduler('uniform'))).toEqual(['uniform', 'Uniform']);
  });

  it('drops the last but one of steps + 1 where the sampler wants it', () => {
    const longer = computeSigmas({ sampler: euler, scheduler: 'karras', steps: 9 }).sigmas;
    const { sigmas } = computeSigmas({ sampler: findSampler('dpm_2'), scheduler: 'karras', steps: 8 });
    expect([...sigmas]).toEqual([...longer.slice(0, 8), 0]);
  });

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, LIMITS.steps.max + 1])('refuses %s steps', (steps) => {
    expect(() => computeSigmas({ sampler: euler, scheduler: 'karras', steps })).toThrow(
      /^steps must be a whole number/,
    );
  });

  it('refuses samplers that take none', () => {
    expect(() => computeSigmas({ sampler: findSampler('ddim'), scheduler: 'karras', steps: 4 })).toThrow(
      'sampler "DDIM" takes no schedule: leave the scheduler automatic',
    );
  });
});

describe('the beta distribution', () => {
  it.each([
    // scipy.stats.beta.ppf, SciPy 1.17
    [0.25, 0.6, 0.6, 0.17568037865269498],
    [0.5, 0.6, 0.6, 0.5000000000000001],
    [0.75, 0.6, 0.6, 0.824319621347305],
    [0.9, 0.6, 0.6, 0.9604155944112192],
    [0.1, 2, 5, 0.09259525891312873],
    [0.999, 0.3, 1.7, 0.9581663118887047],
    [0.01, 10, 0.5, 0.7118461650028394],
    [0.3, 50, 80, 0.36178651376759074],
    [0.0001, 0.6, 0.6, 3.998377158137721e-7],
  ])('quantile of %s for %s and %s', (p, a, b, expected) => {
    expect(Math.abs(betaQuantile(p, a, b) / expected - 1)).toBeLessThan(1e-11);
  });

  it('is the inverse of its distribution function, which is symmetric', () => {
    const shape = fc.double({ min: 0.05, max: 50, noNaN: true });
    fc.assert(
      fc.property(fc.double({ min: 0.01, max: 0.99, noNaN: true }), shape, shape, (p, a, b) => {
        const x = betaQuantile(p, a, b);
        // Nearer to the ends a double does not hold 1 - x.
        fc.pre(x > 1e-6 && x < 1 - 1e-6);
        expect(betaCdf(x, a, b) + betaCdf(1 - x, b, a)).toBeCloseTo(1, 8);
        expect(betaCdf(x, a, b)).toBeCloseTo(p, 8);
      }),
    );
    expect([betaQuantile(0, 2, 3), betaQuantile(1, 2, 3), betaCdf(-1, 2, 3), betaCdf(2, 2, 3)]).toEqual([0, 1, 0, 1]);
    // Beta(1, b) has the closed form 1 - (1 - x)^b.
    expect(betaCdf(0.3, 1, 4)).toBeCloseTo(1 - 0.7 ** 4, 14);
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
