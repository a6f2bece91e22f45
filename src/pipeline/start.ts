import { pictureThread } from './picture-thread.js';
import type { RunInputs, StartPictures, StartSettings } from './start-pictures.js';

/**
 * A run's pictures, prepared in a thread of their own, where its results are finished too.
 * @throws UsageError as `prepareStart`
 */
export async function beginWith(
  inputs: RunInputs,
  settings: StartSettings,
  signal: AbortSignal,
): Promise<StartPictures> {
  const { pictures, mask } = inputs;
  const prepared = await pictureThread.run('prepare', { inputs: { pictures, mask, notes: [] }, settings }, signal);
  const { encoded, overlays, region } = prepared;
  return {
    ...prepared,
    finish: async (result, index, until) => {
      const place = index % encoded.length;
      const like = settings.colorCorrection ? encoded[place] : undefined;
      const overlay = overlays[place];
      if (like === undefined && overlay === undefined) return result;
      return pictureThread.run('finish', { result, like, overlay, region }, until);
    },
  };
}
