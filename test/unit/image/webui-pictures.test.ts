import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { gaussianBlur } from '../../../src/image/box-blur.js';
import { correctColours } from '../../../src/image/colour-correction.js';
import { fromLab, toLab } from '../../../src/image/lab.js';
import { fillMasked, latentMask, overlayOf, putOver, readMask } from '../../../src/image/mask.js';
import { type Pixels, resize } from '../../../src/image/resize.js';
import { boxMask, made } from '../../support/pictures.js';
import { ROOT } from '../../support/project.js';

/** What OpenCV, Pillow and scikit-image made (scripts/webui-pictures.py). The tolerance is nothing: the same bytes. */
const FIXTURE: { made_by: Record<string, string>; cases: (string | number | number[])[][] } = JSON.parse(
  readFileSync(join(ROOT, 'test/fixtures/webui-pictures.json'), 'utf8'),
);

type Box = readonly number[];
const blurred = (mask: Pixels, blurX: number, blurY = blurX): Pixels =>
  readMask(mask, { invert: false, round: true, blurX, blurY });
const darker = (image: Pixels): Pixels => ({ ...image, data: image.data.map((level) => Math.floor(level / 3)) });

function everyFifth(): Uint8Array {
  const levels = Array.from({ length: 52 }, (_, i) => 5 * i);
  return Uint8Array.from(levels.flatMap((r) => levels.flatMap((g) => levels.flatMap((b) => [r, g, b]))));
}

/** The bytes of each kind of case; its settings are as they stand in the fixture. */
const MAKERS: Record<string, (...settings: never[]) => Uint8Array> = {
  'mask blur': (name: string, w: number, h: number, x: number, y: number) => blurred(made(name, w, h, 1), x, y).data,
  'box blur': (w: number, h: number, box: Box, x: number, y: number) => blurred(boxMask(w, h, box), x, y).data,
  'fill blur': (name: string, w: number, h: number, channels: 1 | 3 | 4, radius: number) =>
    gaussianBlur(made(name, w, h, channels), radius).data,
  fill: (name: string, w: number, h: number, box: Box, blur: number) =>
    fillMasked(made(name, w, h, 3), blurred(boxMask(w, h, box), blur)).data,
  'put over': (name: string, w: number, h: number, box: Box, blur: number) => {
    const overlay = overlayOf(made(name, w, h, 3), blurred(boxMask(w, h, box), blur));
    return putOver(made(name === 'noise' ? 'smooth' : 'noise', w, h, 3), overlay, undefined).data;
  },
  'latent mask': (w: number, h: number, box: Box, blur: number) =>
    Uint8Array.from(latentMask(blurred(boxMask(w, h, box), blur), w / 8, h / 8, false), (share) =>
      Math.round(share * 255),
    ),
  colours: (own: string, w: number, h: number, like: string, likeW: number, likeH: number) =>
    correctColours(made(own, w, h, 3), made(like, likeW, likeH, 3)).data,
  'colours, darker': (own: string, w: number, h: number, like: string, likeW: number, likeH: number) =>
    correctColours(made(own, w, h, 3), darker(made(like, likeW, likeH, 3))).data,
  'to lab': () => toLab(everyFifth()),
  'from lab': () => fromLab(everyFifth()),
};

describe('masks and pictures', () => {
  it.each(Object.keys(MAKERS))('are what the webui makes: %s', (kind) => {
    const cases = FIXTURE.cases.filter(([name]) => name === kind);
    expect(cases.length).toBeGreaterThan(0);
    const wrong = cases.filter((entry) => {
      const bytes = MAKERS[kind]?.(...(entry.slice(1, -1) as never[])) ?? new Uint8Array();
      return createHash('sha256').update(bytes).digest('hex').slice(0, 32) !== entry.at(-1);
    });
    expect(wrong).toEqual([]);
  });

  it('are all looked at', () => {
    expect([...new Set(FIXTURE.cases.map(([name]) => name))].sort()).toEqual(Object.keys(MAKERS).sort());
  });

  it('differ where one value does', () => {
    const mask = boxMask(64, 48, [10, 12, 40, 30]);
    const other = resize(boxMask(64, 48, [10, 12, 41, 30]), 64, 48, 'lanczos');
    expect(blurred(other, 4).data).not.toEqual(blurred(mask, 4).data);
  });
});
