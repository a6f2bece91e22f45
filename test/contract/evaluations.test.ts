import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NativeModel, StepEvent } from '../../src/native/types.js';
import { evaluationsOf } from '../../src/sampling/evaluations.js';
import { SAMPLERS, type SamplerInfo } from '../../src/sampling/samplers.js';
import { planWalk } from '../../src/sampling/walks.js';
import { openTinyModel, sampleRequest } from '../support/native-model.js';

let model: NativeModel;
beforeAll(async () => {
  model = await openTinyModel();
});
afterAll(() => model.close());

/** Evaluations that the engine reports at the end. */
async function reported(info: SamplerInfo, walk: ReturnType<typeof planWalk>, eta: number): Promise<number> {
  const request = sampleRequest(model.describe(), 1);
  const events: StepEvent[] = [];
  const options = { ...request.samplerOptions, eta };
  const { sigmas, timesteps } = walk;
  const more = timesteps === null ? {} : { timesteps };
  await model.sample({ ...request, sampler: info.id, samplerOptions: options, sigmas, ...more }, (event) =>
    events.push(event),
  ).promise;
  return events.at(-1)?.evaluations ?? 0;
}

const EXACT = SAMPLERS.filter(({ oneImage }) => !oneImage);

describe('the evaluations of a sampler', () => {
  it.each(EXACT.map((info) => [info.name, info] as const))('%s are those that the engine reports', async (_, info) => {
    for (const steps of info.walk === 'restarts' ? [3, 21] : [2, 5]) {
      const walk = planWalk({ sampler: info, scheduler: 'automatic', steps });
      for (const eta of new Set([0, info.eta, 1])) {
        const expected = evaluationsOf({ sampler: info.id, sigmas: [...walk.sigmas], eta });
        expect([steps, eta, await reported(info, walk, eta)]).toEqual([steps, eta, expected.count]);
        expect(expected.isExact).toBe(true);
      }
    }
  });

  it('count sigmas of one’s own that do not end at 0', async () => {
    const sigmas = [12, 4, 1.5];
    for (const info of EXACT.filter(({ walk }) => walk === 'sigmas')) {
      const walk = planWalk({ sampler: info, scheduler: 'automatic', steps: 2, own: sigmas });
      const { count } = evaluationsOf({ sampler: info.id, sigmas, eta: info.eta });
      expect([info.id, await reported(info, walk, info.eta)]).toEqual([info.id, count]);
    }
  });

  it('of DPM adaptive depend on the picture', () => {
    expect(evaluationsOf({ sampler: 'dpm_adaptive', sigmas: [14, 0.03], eta: 1 })).toEqual({
      count: 75,
      isExact: false,
    });
  });
});
