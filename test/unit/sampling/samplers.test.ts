import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../../../src/request/errors.js';
import { findSampler, SAMPLERS, samplerNames } from '../../../src/sampling/samplers.js';

describe('SAMPLERS', () => {
  it("lists the webui's twenty in its order, with no name twice", () => {
    expect(SAMPLERS).toHaveLength(20);
    expect(SAMPLERS[0]?.name).toBe('DPM++ 2M');
    const names = SAMPLERS.flatMap(({ name, id, aliases }) => [
      ...new Set([name, id, ...aliases].map((n) => n.toLowerCase())),
    ]);
    expect(new Set(names).size).toBe(names.length);
  });

  it('marks the traits of the table', () => {
    const having = (trait: 'secondOrder' | 'discardPenultimate' | 'usesEnsd' | 'brownian'): string[] =>
      SAMPLERS.filter((info) => info[trait]).map(({ id }) => id);
    expect(having('secondOrder')).toEqual([
      'dpmpp_sde',
      'dpmpp_2s_ancestral',
      'heun',
      'dpm_2',
      'dpm_2_ancestral',
      'restart',
    ]);
    expect(having('discardPenultimate')).toEqual(['dpmpp_3m_sde', 'dpm_2', 'dpm_2_ancestral']);
    expect(having('usesEnsd')).toEqual([
      'dpmpp_2s_ancestral',
      'euler_ancestral',
      'dpm_2_ancestral',
      'dpm_fast',
      'dpm_adaptive',
    ]);
    expect(having('brownian')).toEqual(['dpmpp_sde', 'dpmpp_2m_sde', 'dpmpp_2m_sde_heun', 'dpmpp_3m_sde']);
    const taking = (setting: 'eta' | 'churn' | 'noise'): string[] =>
      SAMPLERS.filter(({ takes }) => takes.includes(setting)).map(({ id }) => id);
    expect(taking('churn')).toEqual(['euler', 'heun', 'dpm_2']);
    // Euler a draws its noise by eta alone in the webui.
    expect(taking('noise')).toEqual([
      'dpmpp_sde',
      'dpmpp_2m_sde',
      'dpmpp_2m_sde_heun',
      'dpmpp_2s_ancestral',
      'dpmpp_3m_sde',
      'euler',
      'heun',
      'dpm_2',
      'dpm_2_ancestral',
      'dpm_fast',
    ]);
    expect(taking('eta')).not.toContain('plms');
    expect(SAMPLERS.filter(({ eta }) => eta === 0).map(({ id }) => id)).toEqual([
      'ddim',
      'ddim_cfgpp',
      'plms',
      'unipc',
    ]);
  });
});

describe('findSampler', () => {
  it.each([
    ['Euler', 'euler'],
    ['euler A', 'euler_ancestral'],
    ['k_euler_ancestral', 'euler_ancestral'],
    ['HEUN', 'heun'],
    [' dpm++ 2m ', 'dpmpp_2m'],
    ['dpmpp_2m', 'dpmpp_2m'],
  ])('%j is %s', (text, id) => {
    expect(findSampler(text).id).toBe(id);
  });

  it('offers the nearest names for an unknown one', () => {
    expect(() => findSampler('eular')).toThrow(/^unknown sampler "eular"; did you mean Euler or Euler a/);
    expect(() => findSampler('qqqqqqqqqqqqqqq')).toThrow(/^unknown sampler "qqqqqqqqqqqqqqq"; known: DPM\+\+ 2M, /);
    expect(samplerNames()).toHaveLength(20);
  });

  it('throws nothing but UsageError of one bounded line', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
        try {
          findSampler(text);
        } catch (error) {
          expect(error).toBeInstanceOf(UsageError);
          expect((error as UsageError).field).toBe('sampler');
          expect((error as UsageError).message).not.toContain('\n');
          expect((error as UsageError).message.length).toBeLessThan(700);
        }
      }),
    );
  });
});
