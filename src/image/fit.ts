import { paste } from './composite.js';
import { type Pixels, resize } from './resize.js';

/** How a picture gets a size of another shape: stretched, covering it and cut, or inside it with its edges drawn out. */
export type Fit = 'stretch' | 'crop' | 'fill';

/** The size that a picture gets on its way to width×height, as the webui reckons it. */
function scaled(image: Pixels, width: number, height: number, covers: boolean): { w: number; h: number } {
  const [ratio, own] = [width / height, image.width / image.height];
  const byWidth = covers ? ratio > own : ratio < own;
  const byHeight = covers ? ratio <= own : ratio >= own;
  return {
    w: byWidth ? width : Math.floor((image.width * height) / image.height),
    h: byHeight ? height : Math.floor((image.height * width) / image.width),
  };
}

/** Row `from` of a picture again and again, in rows `top` up to but not `bottom`. */
function repeatRow({ data, width, channels }: Pixels, from: number, top: number, bottom: number): void {
  const row = data.slice(from * width * channels, (from + 1) * width * channels);
  for (let y = top; y < bottom; y += 1) data.set(row, y * width * channels);
}

function repeatColumn({ data, width, height, channels }: Pixels, from: number, left: number, right: number): void {
  for (let y = 0; y < height; y += 1) {
    const start = y * width * channels;
    const pixel = data.slice(start + from * channels, start + (from + 1) * channels);
    for (let x = left; x < right; x += 1) data.set(pixel, start + x * channels);
  }
}

/**
 * A picture at width×height as the webui's resize modes 0, 1 and 2 make it, with Pillow's Lanczos. In mode "fill" edge rows
 * or columns are repeated where the picture does not reach.
 */
export function fitTo(image: Pixels, mode: Fit, width: number, height: number): Pixels {
  if (mode === 'stretch') return resize(image, width, height, 'lanczos');
  const { w, h } = scaled(image, width, height, mode === 'crop');
  const inner = resize(image, Math.max(1, w), Math.max(1, h), 'lanczos');
  const { channels } = image;
  const out: Pixels = { data: new Uint8Array(width * height * channels), width, height, channels };
  const x = Math.floor(width / 2) - Math.floor(inner.width / 2);
  const y = Math.floor(height / 2) - Math.floor(inner.height / 2);
  paste(out, inner, x, y);
  if (mode === 'crop') return out;
  if (y > 0) repeatRow(out, y, 0, y);
  if (y + inner.height < height) repeatRow(out, y + inner.height - 1, y + inner.height, height);
  if (x > 0) repeatColumn(out, x, 0, x);
  if (x + inner.width < width) repeatColumn(out, x + inner.width - 1, x + inner.width, width);
  return out;
}
