import { z } from 'zod';
import { HttpError } from './errors.js';
import { fetchImage } from './fetch-image.js';
import type { ServerSettings } from './settings.js';

const INVALID = 'Invalid encoded image';

/** 16×16 pixels of one colour: what the document shows, and what requests made from it send. */
export const EXAMPLE_PICTURE =
  'iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAMAAAAoLQ9TAAAAA1BMVEXMMzN0dFbYAAAADUlEQVQY02NgGAXIAAABEAAB7JfjegAAAABJRU5ErkJggg==';

/** A field that holds a picture: base64, a data URL, or a URL where those are allowed. */
export const pictureField = () =>
  z.string().meta({ examples: [EXAMPLE_PICTURE, `data:image/png;base64,${EXAMPLE_PICTURE}`] });

/**
 * The bytes of a picture in a request: base64, a data URL, or an http(s) URL where those are allowed.
 * @throws HttpError 422 for what is none of these, FailureError for a URL that cannot be had
 */
export async function pictureBytes(
  text: string,
  { allowUrlImages, limits }: Pick<ServerSettings, 'allowUrlImages' | 'limits'>,
): Promise<Buffer> {
  if (/^https?:\/\//i.test(text)) {
    if (!allowUrlImages) throw new HttpError(422, 'Requests not allowed: start the server with --allow-url-images');
    return fetchImage(text, { maxBytes: limits.bodyBytes });
  }
  const encoded = text.startsWith('data:image/') ? (/^data:image\/[\w.+-]+;base64,(.*)$/s.exec(text)?.[1] ?? '') : text;
  const compact = encoded.replace(/\s+/g, '');
  // Node would skip what is no base64.
  if (compact === '' || !/^[A-Za-z0-9+/_-]+={0,2}$/.test(compact)) throw new HttpError(422, INVALID);
  return Buffer.from(compact, 'base64');
}
