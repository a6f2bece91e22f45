import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { CliSandbox } from '../support/cli.js';
import { type TinyArch, tinyModelPath } from '../support/tiny-model.js';

const FOLDER = new URL('../fixtures/images/', import.meta.url);
/** Half of one of 256 levels: float32 and the cut to whole levels differ from float64 by far less. */
const MEAN_LEVELS = 0.5;

const { cases } = z
  .object({
    cases: z
      .array(
        z.object({
          file: z.string(),
          prompt: z.string(),
          negative_prompt: z.string(),
          steps: z.number(),
          sampler: z.string(),
          scheduler: z.string(),
          cfg_scale: z.number(),
          width: z.number(),
          height: z.number(),
          seed: z.number(),
        }),
      )
      .min(3),
  })
  .parse(JSON.parse(readFileSync(new URL('images.json', FOLDER), 'utf8')));

let box: CliSandbox;
beforeAll(async () => {
  box = await CliSandbox.create();
});
afterAll(() => box.remove());

const pixelsOf = (file: Buffer | string): Promise<Buffer> => sharp(file).removeAlpha().raw().toBuffer();

/** Mean absolute difference, in levels. */
function difference(a: Buffer, b: Buffer): number {
  expect(a.length).toBe(b.length);
  return a.reduce((sum, value, i) => sum + Math.abs(value - (b[i] ?? 0)), 0) / a.length;
}

const archOf = (file: string): TinyArch => (file.startsWith('micro2') ? 'micro2' : 'micro1');

describe('whole pictures equal those of diffusers and k-diffusion', () => {
  for (const one of cases) {
    it(one.file, async () => {
      const argv = [
        'txt2img',
        '--model',
        await tinyModelPath(archOf(one.file)),
        '--rng',
        'cpu',
        '--precision',
        'fp32',
        '--output',
        one.file,
      ];
      const values = {
        prompt: one.prompt,
        'negative-prompt': one.negative_prompt,
        steps: one.steps,
        sampler: one.sampler,
        scheduler: one.scheduler,
        'cfg-scale': one.cfg_scale,
        width: one.width,
        height: one.height,
        seed: one.seed,
      };
      for (const [flag, value] of Object.entries(values)) argv.push(`--${flag}`, String(value));
      expect(await box.run(argv)).toMatchObject({ code: 0 });
      const ours = await pixelsOf(await readFile(box.path(one.file)));
      const theirs = await pixelsOf(fileURLToPath(new URL(one.file, FOLDER)));
      expect(difference(ours, theirs)).toBeLessThan(MEAN_LEVELS);
    });
  }

  it('and the measure tells different pictures apart', async () => {
    const [first, second] = await Promise.all(
      ['micro1-euler.png', 'micro1-odd.png'].map((file) => pixelsOf(fileURLToPath(new URL(file, FOLDER)))),
    );
    const length = Math.min(first?.length ?? 0, second?.length ?? 0);
    const cut = (pixels: Buffer | undefined): Buffer => (pixels ?? Buffer.alloc(0)).subarray(0, length);
    expect(difference(cut(first), cut(second))).toBeGreaterThan(MEAN_LEVELS);
  });
});
