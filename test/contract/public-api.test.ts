import { expect, it } from 'vitest';
import * as api from '../../src/index.js';

it('the library exports these names and no others', () => {
  expect(Object.keys(api).sort()).toEqual([
    'CachedModelProvider',
    'EXTENSION_API_VERSION',
    'ExtensionRegistry',
    'FailureError',
    'FileSink',
    'HOOK_NAMES',
    'OptionStore',
    'ProcessingRunner',
    'UsageError',
    'VERSION',
    'encodeImage',
    'generate',
    'hashPlan',
    'imageToImageSchema',
    'parsePlan',
    'textToImageSchema',
  ]);
});
