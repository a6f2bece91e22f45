import { FAKE_MODEL_NAME } from '../runtime/fake-provider.js';
import type { CatalogEntry } from './catalog.js';
import type { Models } from './services.js';

const ENTRY: CatalogEntry = {
  title: `${FAKE_MODEL_NAME} [0000000000]`,
  model_name: FAKE_MODEL_NAME,
  hash: '0000000000',
  sha256: '0'.repeat(64),
  filename: FAKE_MODEL_NAME,
  config: null,
};

/** The list of models where pictures come from a stand-in: it alone. */
export const FAKE_MODELS: Models = {
  entries: async () => [ENTRY],
  find: async (text) =>
    [ENTRY.title, ENTRY.model_name, ENTRY.hash].some((name) => name === text.trim().toLowerCase()) ? ENTRY : undefined,
  vaes: async () => [],
  findVae: async () => undefined,
  at: async () => ENTRY,
  remember: () => undefined,
};
