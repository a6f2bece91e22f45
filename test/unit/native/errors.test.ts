import { describe, expect, it } from 'vitest';
import { NativeError, toNativeError } from '../../../src/native/errors.js';

function callSite(): Error {
  return new Error('made where the call began');
}

describe('toNativeError', () => {
  it('keeps the code and message of the addon, and the stack of the caller', () => {
    const thrown = Object.assign(new Error('the UNet made a NaN at step 3'), { code: 'E_NON_FINITE' });
    const error = toNativeError(thrown, callSite());
    expect(error).toBeInstanceOf(NativeError);
    expect(error).toMatchObject({ code: 'E_NON_FINITE', message: thrown.message, cause: thrown });
    expect(error.stack).toMatch(/^NativeError \[E_NON_FINITE\]: the UNet made a NaN at step 3\n\s+at callSite /);
  });

  it('leaves a NativeError as it is', () => {
    const error = new NativeError('E_IO', 'gone');
    expect(toNativeError(error, callSite())).toBe(error);
  });

  it.each([new Error('plain'), Object.assign(new Error('plain'), { code: 'ENOENT' }), 'plain'])(
    'calls what carries no code of ours a defect: %s',
    (thrown) => {
      const error = toNativeError(thrown, callSite());
      expect(error).toMatchObject({ code: 'E_INTERNAL', message: 'plain', cause: thrown });
    },
  );
});
