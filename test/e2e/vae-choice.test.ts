import { copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { makeTinyModel } from '../../scripts/make-tiny-model.mjs';
import { readImageInfo } from '../../src/image/codec.js';
import { pictureParameters } from '../../src/runtime/picture-parameters.js';
import { CliSandbox } from '../support/cli.js';
import { tinyModelPath } from '../support/tiny-model.js';

let box: CliSandbox;
let pixels: { readonly own: string; readonly other: string };
const BESIDE = 'models/one.vae.safetensors';

const runSchema = z.object({ files: z.array(z.object({ pixelSha256: z.string() })).length(1) });
const FOX = ['-p', 'a red fox', '-m', 'one', '--width', '64', '--height', '64', '--steps', '2', '--seed', '3'];
const EXACT = ['--device', 'reference', '--precision', 'fp32', '--force'];

/** The picture's pixels, by their hash. */
async function make(output: string, more: readonly string[] = [], env: Record<string, string> = {}): Promise<string> {
  const argv = more.includes('--plan') || more.includes('--from') ? more : [...FOX, ...EXACT, ...more];
  const { code, out, err } = await box.run(['txt2img', ...argv, '--json', '-o', output], { env });
  expect(code, err).toBe(0);
  return runSchema.parse(JSON.parse(out)).files[0]?.pixelSha256 ?? '';
}

const parametersOf = async (file: string) =>
  pictureParameters(await readImageInfo(await readFile(box.path(file))))?.text;

beforeAll(async () => {
  box = await CliSandbox.create();
  await copyFile(await tinyModelPath('micro1'), box.path('models/one.safetensors'));
  const own = await make('own.png');
  await makeTinyModel({ path: box.path('seed8.safetensors'), arch: 'micro1', seed: 8, threads: 1 });
  const other = await make('other.png', ['--vae', 'seed8.safetensors']);
  expect(other).not.toBe(own);
  pixels = { own, other };
  await copyFile(box.path('seed8.safetensors'), box.path(BESIDE));
});
afterAll(() => box.remove());

describe('the VAE beside a checkpoint', () => {
  it('is taken unless told otherwise, and named as the webui names it', async () => {
    expect(await make('beside.png')).toBe(pixels.other);
    expect(await parametersOf('beside.png')).toMatch(
      /Model hash: [0-9a-f]{10}, Model: one, VAE hash: [0-9a-f]{10}, VAE: one\.vae\.safetensors, /,
    );
    expect(await make('asked.png', ['--vae', 'automatic'])).toBe(pixels.other);
    expect(await make('none.png', ['--vae', 'none'])).toBe(pixels.own);
    expect(await parametersOf('none.png')).not.toContain('VAE');
  });

  it('is chosen by the environment and the settings file too', async () => {
    expect(await make('env.png', [], { SDGEN_VAE: 'none' })).toBe(pixels.own);
    await mkdir(box.path('home/.config/sdgen'), { recursive: true });
    expect((await box.run(['config', 'set', 'vae', 'none'])).code).toBe(0);
    expect(await make('file.png')).toBe(pixels.own);
    expect(await make('flag.png', ['--vae', 'Automatic'])).toBe(pixels.other);
    expect((await box.run(['config', 'unset', 'vae'])).code).toBe(0);
  });

  it('is told by a dry run, models inspect and models list', async () => {
    expect((await box.run(['txt2img', ...FOX, '--dry-run'])).out).toMatch(
      /^vae +one\.vae\.safetensors \([0-9a-f]{10}\)/m,
    );
    expect((await box.run(['models', 'inspect', 'one'])).out).toMatch(/^other vae +one\.vae\.safetensors/m);
    expect((await box.run(['models', 'inspect', 'one', '--vae', 'none'])).out).not.toMatch(/^other vae/m);
    const { models } = JSON.parse((await box.run(['models', 'list', '--json'])).out);
    expect(models).toContainEqual(expect.objectContaining({ name: 'one', isVae: false }));
    expect(models).toContainEqual(expect.objectContaining({ name: 'one.vae', isVae: true }));
    expect((await box.run(['models', 'list'])).out).toMatch(/^one\.vae +VAE /m);
    expect((await box.run(['txt2img', ...FOX, '-m', 'one.vae'])).err).toContain('there is no model named one.vae');
  });

  it('does not come into a plan, a proof or a second run of a picture that was made without it', async () => {
    expect(await make('none.png', ['--vae', 'none'])).toBe(pixels.own);
    const { out } = await box.run(['txt2img', ...FOX, ...EXACT, '--vae', 'none', '--dry-run', '--json']);
    await writeFile(box.path('plan.json'), out);
    expect(await make('planned.png', ['--plan', 'plan.json'])).toBe(pixels.own);
    expect(await make('again.png', ['--from', 'none.png', ...EXACT])).toBe(pixels.own);
    expect(await make('beside-again.png', ['--from', 'other.png', '--vae', BESIDE, ...EXACT])).toBe(pixels.other);
    await make('bare-own.png', ['--vae', 'none', '--no-trail']);
    await make('bare.png', ['--no-trail']);
    for (const file of ['none.png', 'beside.png', 'bare-own.png', 'bare.png']) {
      const { code, out: told } = await box.run(['verify', file, '-q', '--device', 'reference', '--precision', 'fp32']);
      expect([file, code, told]).toEqual([file, 0, expect.stringContaining('identical')]);
    }
  });

  it('is found by its hash under another name', async () => {
    await make('beside.png');
    await mkdir(box.path('models/VAE'));
    await rename(box.path(BESIDE), box.path('models/VAE/moved.safetensors'));
    try {
      expect(await make('gone.png')).toBe(pixels.own);
      expect(await make('named.png', ['--vae', 'moved'])).toBe(pixels.other);
      const { code, out } = await box.run(['verify', 'beside.png', '-q']);
      expect([code, out]).toEqual([0, expect.stringContaining('identical')]);
      const refused = await box.run(['txt2img', '--from', 'beside.png', '-o', 'x.png']);
      expect([refused.code, refused.err]).toEqual([
        1,
        expect.stringMatching(/no VAE named one\.vae\.safetensors in .*; --vae none takes the model's own/),
      ]);
    } finally {
      await rename(box.path('models/VAE/moved.safetensors'), box.path(BESIDE));
    }
  });

  it('is refused by its name where it is a pickle', async () => {
    await rename(box.path(BESIDE), box.path('kept'));
    await writeFile(box.path('models/one.vae.pt'), 'not even a pickle');
    try {
      const { code, err } = await box.run(['txt2img', ...FOX, '-o', 'x.png']);
      expect([code, err]).toEqual([1, expect.stringMatching(/one\.vae\.pt is a pickle.*--vae none/)]);
      expect(await make('safe.png', ['--vae', 'none'])).toBe(pixels.own);
    } finally {
      await rm(box.path('models/one.vae.pt'));
      await rename(box.path('kept'), box.path(BESIDE));
    }
  });
});
