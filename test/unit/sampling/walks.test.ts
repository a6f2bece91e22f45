import { describe, expect, it } from 'vitest';
import { UsageError } from '../../../src/request/errors.js';
import { findSampler } from '../../../src/sampling/samplers.js';
import { computeSigmas } from '../../../src/sampling/schedules.js';
import { modelSigmas } from '../../../src/sampling/trained-sigmas.js';
import { planWalk, type WalkRequest, walkedSteps } from '../../../src/sampling/walks.js';

const walk = (sampler: string, steps: number, more: Partial<WalkRequest> = {}) =>
  planWalk({ sampler: findSampler(sampler), scheduler: 'automatic', steps, ...more });
const trained = modelSigmas();
const logSnr = (t: number): number => {
  const low = Math.min(Math.floor(t), 998);
  const logAlpha = (i: number): number => -0.5 * Math.log1p((trained[i] ?? 0) ** 2);
  const alpha = Math.exp(logAlpha(low) + (t - low) * (logAlpha(low + 1) - logAlpha(low)));
  return Math.log(alpha / Math.sqrt(1 - alpha ** 2));
};

describe('timesteps', () => {
  it('are 1, 1 + s … for DDIM and PLMS, one step fewer than there are', () => {
    for (const sampler of ['ddim', 'ddim_cfgpp', 'plms']) {
      const { timesteps, sigmas, label } = walk(sampler, 5);
      expect([...(timesteps ?? [])]).toEqual([801, 601, 401, 201, 1]);
      expect([...sigmas]).toEqual([801, 601, 401, 201, 1].map((t) => Math.fround(trained[t] ?? 0)));
      expect(label).toBeNull();
      expect(walkedSteps(sigmas)).toBe(4);
    }
  });

  it('are more than asked for where 1000 is no multiple of the steps', () => {
    expect(walk('ddim', 30).timesteps).toHaveLength(31);
    expect(walk('ddim', 20).timesteps).toHaveLength(20);
    const dense = [...(walk('ddim', 1000).timesteps ?? [])];
    expect([dense[0], dense.at(-1), dense.length]).toEqual([999, 1, 999]);
  });

  it('need two at least, for there is no way from one to itself', () => {
    expect(() => walk('ddim', 1)).toThrow(new UsageError('sampler "DDIM" needs at least 2 steps', 'steps'));
    expect(walk('unipc', 1).timesteps).toEqual(Float32Array.of(999, 0));
  });

  it('go from the last trained one down to the clean end where the model counts so', () => {
    expect([...(walk('ddim', 4, { trailing: true }).timesteps ?? [])]).toEqual([999, 749, 499, 249, -1]);
    expect([...(walk('plms', 3, { trailing: true }).timesteps ?? [])]).toEqual([999, 666, 332, -1]);
    expect(walk('ddim', 4, { trailing: true }).sigmas[4]).toBe(0);
    expect([...(walk('ddim', 1, { trailing: true }).timesteps ?? [])]).toEqual([999, -1]);
    expect(walk('unipc', 4, { trailing: true })).toEqual(walk('unipc', 4));
  });

  it('are not changed by a scheduler', () => {
    for (const name of ['ddim', 'plms', 'unipc']) {
      expect(walk(name, 5, { scheduler: 'karras' })).toEqual(walk(name, 5));
    }
  });

  it('go evenly from 999 to 0 for UniPC, as many steps as the list of DDIM is long', () => {
    expect([...(walk('unipc', 4).timesteps ?? [])]).toEqual([999, 749.25, 499.5, 249.75, 0]);
    expect(walk('unipc', 30).timesteps).toHaveLength(32);
  });

  it('go evenly in the root of time or in log alpha/sigma on request', () => {
    const roots = [...(walk('unipc', 4, { skipType: 'time_quadratic' }).timesteps ?? [])].map((t) =>
      Math.sqrt((t + 1) / 1000),
    );
    const snrs = [...(walk('unipc', 4, { skipType: 'logSNR' }).timesteps ?? [])].map(logSnr);
    for (const values of [roots, snrs]) {
      const [first = 0, last = 0] = [values[0], values[4]];
      for (const [i, value] of values.entries()) expect(value).toBeCloseTo(first + (i / 4) * (last - first), 5);
    }
  });
});

describe('restarts', () => {
  it('come from 20 steps on: nine more from 2 down to 0.1', () => {
    const { sigmas } = walk('restart', 20);
    expect(walkedSteps(sigmas)).toBe(20);
    const rise = sigmas.findIndex((sigma, i) => sigma > (sigmas[i - 1] ?? Infinity));
    const main = computeSigmas({ sampler: findSampler('Euler'), scheduler: 'karras', steps: 11 }).sigmas;
    const near = (wanted: number): number =>
      main.reduce((best, sigma) => (Math.abs(sigma - wanted) < Math.abs(best - wanted) ? sigma : best));
    expect(sigmas[rise - 1]).toBe(near(0.1));
    expect(sigmas[rise]).toBe(near(2));
    expect(sigmas[rise + 9]).toBe(near(0.1));
    expect([...sigmas.slice(0, rise), ...sigmas.slice(rise + 10)]).toEqual([...main]);
    // Karras' formula between the two.
    const [high, low] = [near(2) ** (1 / 7), near(0.1) ** (1 / 7)];
    for (let i = 0; i <= 9; i += 1) expect(sigmas[rise + i]).toBeCloseTo((high + (i / 9) * (low - high)) ** 7, 5);
  });

  it('come twice from 36 on, a quarter of the steps each, and never below 20', () => {
    const { sigmas } = walk('restart', 40);
    expect(walkedSteps(sigmas)).toBe(40);
    expect(sigmas).toHaveLength(43);
    const plain = computeSigmas({ sampler: findSampler('Heun'), scheduler: 'karras', steps: 19 }).sigmas;
    expect([...walk('restart', 19).sigmas]).toEqual([...plain]);
  });
});

describe('a range', () => {
  it.each(['dpm_fast', 'dpm_adaptive'])("is %s's: the model's sigmas and the count", (sampler) => {
    const { sigmas, label } = walk(sampler, 7);
    expect(sigmas).toHaveLength(8);
    expect([sigmas[0], sigmas[7]]).toEqual([Math.fround(trained[999] ?? 0), Math.fround(trained[0] ?? 0)]);
    expect(label).toBe('Automatic');
    expect(walk(sampler, 7, { scheduler: 'karras' })).toEqual(walk(sampler, 7));
  });
});

describe("sigmas of one's own", () => {
  const own = [10, 3.3, 1, 0];

  it('are taken as they are, rounded to float32', () => {
    const { sigmas, scheduler, label } = walk('dpmpp_2m', 20, { own });
    expect([...sigmas]).toEqual(own.map(Math.fround));
    expect([scheduler, label]).toEqual(['own', null]);
    expect([...walk('restart', 20, { own }).sigmas]).toEqual(own.map(Math.fround));
  });

  it('are refused where they would have no effect', () => {
    expect(() => walk('euler', 20, { own, scheduler: 'karras' })).toThrow("sigmas of one's own need no scheduler");
    for (const sampler of ['ddim', 'unipc', 'dpm_fast']) {
      expect(() => walk(sampler, 20, { own })).toThrow(/takes no schedule: sigmas of one's own are for other samplers/);
    }
    const long = Array.from({ length: 22 }, (_, i) => 21 - i);
    expect(() => walk('restart', 20, { own: long })).toThrow(/makes a schedule of its own from 20 steps on/);
  });
});
