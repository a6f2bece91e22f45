import { describe, expect, it } from 'vitest';
import { modelDefaults } from '../../../src/checkpoints/defaults.js';

describe('defaults of a model', () => {
  it('walk SGM Uniform where its scheduler counts trailing timesteps, unless it names another', () => {
    expect(modelDefaults({}, 'm')).toEqual({});
    expect(modelDefaults({}, 'm', true)).toEqual({ scheduler: 'SGM Uniform' });
    expect(modelDefaults({ 'sdgen.default_scheduler': 'Karras' }, 'm', true)).toEqual({ scheduler: 'Karras' });
  });
});
