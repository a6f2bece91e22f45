import type { EarlyEnd } from '../context/early-end.js';
import type { Model, SampleOptions } from '../native/model.js';
import type { Latent, Sampled, SampleRequest, StepEvent } from '../native/types.js';

/**
 * Samples, and where an early end is asked for stops after the step under way: then the denoiser's last estimate is the
 * result, so that there is a picture after the first step already.
 * @throws as Model.sample
 */
export async function sampleUntilEnd(
  engine: Model,
  request: SampleRequest,
  options: SampleOptions,
  earlyEnd: EarlyEnd | undefined,
): Promise<Sampled> {
  if (earlyEnd === undefined) return engine.sample(request, options);
  const { signal, onStep, onHook } = options;
  const stop = new AbortController();
  let estimate: Latent | undefined;
  const stopWhenPossible = (): void => {
    if (earlyEnd.wanted && estimate !== undefined) stop.abort();
  };
  earlyEnd.onWanted(stopWhenPossible);
  const every = request.previewEvery ?? 0;
  const tell = (event: StepEvent): void => {
    estimate = event.preview ?? estimate;
    const { preview, ...rest } = event;
    const isShown = preview !== undefined && every > 0 && event.step % every === 0;
    onStep?.(isShown ? event : rest);
    stopWhenPossible();
  };
  const both = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  try {
    return await engine.sample({ ...request, previewEvery: 1 }, { signal: both, onStep: tell, onHook });
  } catch (error) {
    if (stop.signal.aborted && signal?.aborted !== true && estimate !== undefined)
      return { latent: estimate, profile: [] };
    throw error;
  } finally {
    earlyEnd.onWanted(() => undefined);
  }
}
