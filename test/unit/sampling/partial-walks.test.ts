import { describe, expect, it } from 'vitest';
import { UsageError } from '../../../src/request/errors.js';
import { findSampler, SAMPLERS } from '../../../src/sampling/samplers.js';
import { planWalk } from '../../../src/sampling/walks.js';

const walk = (name: string, steps: number, strength: number, exact = false) =>
  planWalk({ sampler: findSampler(name), scheduler: 'automatic', steps, share: { strength, exact } });
const whole = (name: string, steps: number) => planWalk({ sampler: findSampler(name), scheduler: 'automatic', steps });

/** The webui's t_enc and the steps of the whole schedule, from its description. */
function webui(steps: number, strength: number, exact: boolean) {
  const d = Math.min(strength, 0.999);
  return exact ? { total: Math.trunc(steps / d), place: steps - 1 } : { total: steps, place: Math.trunc(d * steps) };
}

describe('the end of a walk', () => {
  it.each([
    [20, 0.75, false, 16],
    [20, 0.7, true, 20],
    [20, 0, false, 1],
    [20, 1, false, 20],
    [1, 0.5, false, 1],
    [7, 0.33, false, 3],
    [30, 0.1, true, 30],
  ])('of %i steps at %d (exact: %s) has %i', (steps, strength, exact, run) => {
    const { total, place } = webui(steps, strength, exact);
    const { sigmas, start } = walk('Euler', steps, strength, exact);
    expect(sigmas).toHaveLength(run + 1);
    expect(sigmas).toEqual(whole('Euler', total).sigmas.slice(total - place - 1));
    expect(start).toEqual({ timestep: null, noiseInterval: null });
  });

  it('tells samplers with Brownian noise the interval of the whole schedule', () => {
    const full = whole('DPM++ 2M SDE', 20).sigmas;
    const { start } = walk('DPM++ 2M SDE', 20, 0.5);
    expect(start?.noiseInterval).toEqual({ low: full.at(-2), high: full[0] });
  });

  it("goes along the webui's timesteps from the one before that of the noise", () => {
    const rising = [...(whole('DDIM', 20).timesteps ?? [])].reverse();
    const { timesteps, start } = walk('DDIM', 20, 0.75);
    expect(timesteps).toEqual(Float32Array.from(rising.slice(0, 15).reverse()));
    expect(start?.timestep).toBe(rising[15]);
    const unipc = walk('UniPC', 20, 0.75);
    expect(unipc.timesteps).toHaveLength(16);
    expect(unipc.timesteps?.[0]).toBe(rising[14]);
    expect(unipc.timesteps?.at(-1)).toBe(0);
    expect(unipc.start?.timestep).toBe(rising[15]);
  });

  it('gives samplers of a range the ends of the schedule', () => {
    const uniform = walk('Euler', 20, 0.75).sigmas;
    const { sigmas } = walk('DPM fast', 20, 0.75);
    expect(sigmas).toHaveLength(uniform.length);
    expect([sigmas[0], sigmas.at(-1)]).toEqual([uniform[0], uniform.at(-2)]);
  });

  it('puts restarts into the end alone', () => {
    const { sigmas } = walk('Restart', 40, 0.9);
    expect([...sigmas].some((sigma, i) => i > 0 && sigma > (sigmas[i - 1] ?? 0))).toBe(true);
    expect(Math.max(...sigmas)).toBe(sigmas[0]);
  });

  it("takes sigmas of one's own as the whole schedule", () => {
    const own = [10, 8, 6, 4, 2, 0];
    const sampler = findSampler('Euler');
    const { sigmas } = planWalk({
      sampler,
      scheduler: 'automatic',
      steps: 5,
      own,
      share: { strength: 0.5, exact: true },
    });
    expect([...sigmas]).toEqual([6, 4, 2, 0]);
  });

  it('is a walk of every sampler, or is refused by name', () => {
    for (const sampler of SAMPLERS) {
      for (const strength of [0, 0.01, 0.5, 1]) {
        for (const steps of [1, 2, 20]) {
          try {
            const { sigmas, timesteps } = planWalk({
              sampler,
              scheduler: 'automatic',
              steps,
              share: { strength, exact: false },
            });
            expect(sigmas.length).toBeGreaterThan(1);
            expect(timesteps?.length ?? sigmas.length).toBe(sigmas.length);
          } catch (error) {
            expect(error).toBeInstanceOf(UsageError);
            expect(String(error)).toContain(sampler.name);
          }
        }
      }
    }
  });

  it('refuses exact steps of nothing and of too many', () => {
    expect(() => walk('Euler', 20, 0, true)).toThrow(/denoising strength of 0/);
    expect(() => walk('Euler', 100, 0.05, true)).toThrow(/2000/);
  });
});
