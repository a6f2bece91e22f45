import type { OpenModel } from '../context/runtime-context.js';
import { Model } from '../native/model.js';
import type { Capabilities } from '../native/types.js';
import { FAKE_ADDON } from './fake-engine.js';
import type { ModelProvider, ModelRequest } from './model-provider.js';

export const FAKE_MODEL_NAME = 'fake-inference';

/**
 * A provider of a stand-in for every model. It comes into play only where somebody asks for it by name, never by what the
 * surroundings look like, and its pictures name it as their model.
 */
export class FakeModelProvider implements ModelProvider {
  async capabilities(): Promise<Capabilities> {
    return FAKE_ADDON.capabilities();
  }

  async getModel(request: ModelRequest): Promise<OpenModel> {
    const { device } = request;
    const options = { path: '', device: device.name, precision: device.precision, threads: 0 };
    const engine = await Model.open(FAKE_ADDON, options);
    return {
      name: FAKE_MODEL_NAME,
      path: FAKE_MODEL_NAME,
      sha256: '0'.repeat(64),
      description: engine.describe(),
      engine,
      loaded: true,
      load: async () => undefined,
    };
  }

  async dispose(): Promise<void> {
    // Nothing is held.
  }
}
