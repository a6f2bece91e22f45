import fc from 'fast-check';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { encodePicture, readImageInfo } from '../../../src/image/codec.js';
import { buildExif } from '../../../src/image/exif.js';
import { formatInfotext, parseInfotext } from '../../../src/image/infotext.js';
import { insertPngExif, insertPngTexts } from '../../../src/image/png-metadata.js';
import { pythonStrip } from '../../../src/image/python-text.js';
import { FORMAT_NAMES } from '../../../src/request/limits.js';

const PICTURE = { rgb: new Uint8Array(8 * 8 * 3).fill(90), width: 8, height: 8 };

/** Text of one line, of few or of many scripts; two Chinese signs have the bytes of Latin letters, the wrong way round. */
const line = fc
  .array(
    fc.oneof(fc.string({ unit: 'grapheme', maxLength: 8 }), fc.constantFrom('一', '丁丁', 'fox', 'é', ', ', '🦊')),
    {
      maxLength: 60,
    },
  )
  .map((parts) => pythonStrip(parts.join('').replace(/[\n\0:]/g, ' ')));

const infotext = fc
  .record({ prompt: line, negativePrompt: line, model: line, seed: fc.nat(), cfgScale: fc.double({ noNaN: true }) })
  .map((fields) =>
    formatInfotext({ ...fields, steps: 20, sampler: 'Euler', width: 8, height: 8, version: '1.0.0', rng: 'CPU' }),
  );

describe('the parameters of a picture', () => {
  it.each(FORMAT_NAMES)('come back out of a %s as they went in, whatever the prompt', async (format) => {
    await fc.assert(
      fc.asyncProperty(infotext, async (parameters) => {
        const file = await encodePicture(PICTURE, { format, quality: 80, parameters });
        const { texts } = await readImageInfo(file);
        expect(texts).toEqual([{ keyword: 'parameters', text: parameters }]);
        expect(parseInfotext(texts[0]?.text ?? '')).toEqual(parseInfotext(parameters));
      }),
      { numRuns: 40, examples: [[`${'一'.repeat(500)}\nSteps: 1, Seed: 2, Size: 8x8`]] },
    );
  });

  const TEXT = 'a 狐\nSteps: 1, Seed: 2, Size: 8x8';
  const png = (): Promise<Buffer> =>
    sharp(PICTURE.rgb, { raw: { width: 8, height: 8, channels: 3 } })
      .png()
      .toBuffer();

  it("are read from other programs' PNGs that keep them as EXIF; a text counts for more", async () => {
    const foreign = insertPngExif(await png(), buildExif(TEXT));
    expect((await readImageInfo(foreign)).texts).toEqual([{ keyword: 'parameters', text: TEXT }]);
    const both = insertPngTexts(foreign, [{ keyword: 'parameters', text: 'mine' }]);
    expect((await readImageInfo(both)).texts).toEqual([{ keyword: 'parameters', text: 'mine' }]);
    const other = insertPngTexts(foreign, [{ keyword: 'Software', text: 'x' }]);
    expect((await readImageInfo(other)).texts.map(({ keyword }) => keyword)).toEqual(['Software', 'parameters']);
    const none = insertPngExif(await png(), Buffer.from('MM\0*'));
    expect((await readImageInfo(none)).texts).toEqual([]);
    // The way another program takes: from our own file through sharp's PNG writer.
    const webp = await encodePicture(PICTURE, { format: 'webp', quality: 80, parameters: TEXT });
    const converted = await sharp(webp).keepExif().png().toBuffer();
    expect((await readImageInfo(converted)).texts).toEqual([{ keyword: 'parameters', text: TEXT }]);
  });

  it("are read from a GIF's comment", async () => {
    const plain = await sharp(await png())
      .gif()
      .toBuffer();
    expect((await readImageInfo(plain)).texts).toEqual([]);
    const long = `${'fox '.repeat(200)}\nSteps: 1, Seed: 2, Size: 8x8`;
    const bytes = Buffer.from(long);
    const blocks: Buffer[] = [];
    for (let i = 0; i < bytes.length; i += 255) {
      const block = bytes.subarray(i, i + 255);
      blocks.push(Buffer.from([block.length]), block);
    }
    const comment = Buffer.concat([Buffer.from([0x21, 0xfe]), ...blocks, Buffer.from([0])]);
    const gif = Buffer.concat([plain.subarray(0, -1), comment, plain.subarray(-1)]);
    expect(await readImageInfo(gif)).toMatchObject({ format: 'gif', texts: [{ keyword: 'parameters', text: long }] });
  });
});
