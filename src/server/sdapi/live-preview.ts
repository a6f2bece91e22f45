import { resizePreview } from '../../image/codec.js';
import type { Job } from '../job-store.js';

/** Pixels of the longer side of a preview: eight times its cells, up to this. */
const MAX_SIDE = 512;

/** Encoded previews by job, so that clients that poll quickly cost one encoding a preview. */
const ENCODED = new WeakMap<Job, { readonly id: number; readonly png: Promise<Buffer> }>();

/** The picture as it stands, as a PNG; undefined before the first preview and after the end. */
export function livePreview(job: Job): Promise<Buffer> | undefined {
  const { preview, previewId: id } = job;
  if (preview === undefined) return undefined;
  const known = ENCODED.get(job);
  if (known?.id === id) return known.png;
  const side = Math.min(MAX_SIDE, 8 * Math.max(preview.width, preview.height));
  const png = resizePreview(preview, side);
  ENCODED.set(job, { id, png });
  return png;
}
