import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readImageInfo } from '../../src/image/codec.js';
import { readPicture } from '../../src/image/read-picture.js';
import { CliSandbox } from '../support/cli.js';
import { boxMask, draw, pngOf, scene } from '../support/pictures.js';
import { tinyModelPath } from '../support/tiny-model.js';

let box: CliSandbox;
beforeAll(async () => {
  box = await CliSandbox.create({
    'one.safetensors': await readFile(await tinyModelPath()),
    'inpaint.safetensors': await readFile(await tinyModelPath('micro1-inpaint')),
    'edit.safetensors': await readFile(await tinyModelPath('micro1-edit')),
  });
  await writeFile(box.path('in.png'), await pngOf(scene(64, 64)));
  await writeFile(box.path('mask.png'), await pngOf(boxMask(64, 64, [16, 16, 48, 40])));
});
afterAll(() => box.remove());

const SMALL = ['-p', 'a fox', '--steps', '4', '--seed', '7', '--sampler', 'Euler', '--device', 'reference', '-q'];

async function make(images: string[], flags: string[], model = 'one') {
  const { code, out, err } = await box.run([
    'img2img',
    ...images,
    ...SMALL,
    '-m',
    model,
    '--force',
    '--json',
    ...flags,
  ]);
  expect({ code, err }).toMatchObject({ code: 0 });
  return JSON.parse(out);
}
const hashOf = async (images: string[], flags: string[], model = 'one'): Promise<string> =>
  (await make(images, ['--output', 'x.png', ...flags], model)).files[0].pixelSha256;
const refusal = async (...argv: string[]) => {
  const { code, err } = await box.run(['img2img', ...argv, ...SMALL, '-m', 'one']);
  return { code, err };
};

describe('sdgen img2img', () => {
  it('gives the same picture on the cpu and on reference, alone and in a batch', async () => {
    await writeFile(box.path('other.png'), await pngOf(scene(64, 72)));
    const alone = await hashOf(['in.png'], []);
    expect(await hashOf(['in.png'], ['--device', 'cpu', '--precision', 'fp32'])).toBe(alone);
    const size = ['--width', '64', '--height', '64'];
    const rows = await make(['in.png', 'other.png'], ['--output', 'many/', ...size]);
    const batch = await make(['in.png', 'other.png'], ['--output', 'many/', '--batch-size', '2', ...size]);
    const hashes = (document: { files: { pixelSha256: string }[] }) => document.files.map((file) => file.pixelSha256);
    expect(hashes(rows)).toEqual(hashes(batch));
    expect(hashes(rows)[0]).toBe(alone);
    expect(await hashOf(['other.png'], [...size, '--seed', '8'])).toBe(hashes(rows)[1]);
  });

  it('makes a picture again from its plan and from its parameters, with the same picture only', async () => {
    const flags = ['--denoising-strength', '0.6', '--mask', 'mask.png', '--inpaint-area', 'masked', '--mask-blur', '2'];
    const { files } = await make(['in.png'], ['--output', 'first.png', ...flags]);
    const dry = await box.run(['img2img', 'in.png', ...SMALL, '-m', 'one', ...flags, '--dry-run', '--json']);
    await writeFile(box.path('plan.json'), dry.out);
    const again = ['--plan', 'plan.json', '--json', '--output', 'y.png', '--force', '-q'];
    const run = await box.run(['img2img', 'in.png', '--mask', 'mask.png', ...again]);
    expect({ code: run.code, err: run.err }).toMatchObject({ code: 0 });
    expect(JSON.parse(run.out).files[0].pixelSha256).toBe(files[0].pixelSha256);
    await writeFile(box.path('other2.png'), await pngOf(draw(64, 64, () => 9)));
    const wrong = await box.run(['img2img', 'other2.png', '--mask', 'mask.png', ...again]);
    expect(wrong).toMatchObject({ code: 1, err: expect.stringContaining("is not the plan's") });
    const unmasked = await box.run(['img2img', 'in.png', ...again]);
    expect(unmasked).toMatchObject({ code: 1, err: expect.stringContaining('the plan has a mask') });
    const fromText = await box.run(['txt2img', ...again]);
    expect(fromText).toMatchObject({ code: 2, err: expect.stringContaining('sdgen img2img IMAGE') });
    const taken = ['--from', 'first.png', '--mask', 'mask.png', '-m', 'one', '--device', 'reference', '-q', '--json'];
    const same = await box.run(['img2img', 'in.png', ...taken, '--output', 'z.png', '--force']);
    expect({ code: same.code, err: same.err }).toMatchObject({ code: 0 });
    expect(JSON.parse(same.out).files[0].pixelSha256).toBe(files[0].pixelSha256);
    const inputs = ['--input', 'other2.png', '--input', 'in.png', '--mask', 'mask.png'];
    const verified = await box.run(['verify', 'first.png', ...inputs]);
    expect(verified).toMatchObject({ code: 0, out: expect.stringContaining('identical: every latent') });
    expect(await box.run(['verify', 'first.png'])).toMatchObject({ code: 1, out: expect.stringContaining('--input') });
  });

  it('tells the image and its steps in the parameters, as the webui does', async () => {
    const flags = ['--mask', 'mask.png', '--invert-mask', '--masked-content', 'noise', '--exact-steps'];
    const { files, plan } = await make(['in.png'], ['--output', 'told.png', ...flags, '--denoising-strength', '0.5']);
    expect(files[0].parameters).toContain('Denoising strength: 0.5');
    expect(files[0].parameters).toContain('Mask mode: Inpaint not masked, Mask blur: 4, Masked content: latent noise');
    expect(plan.start).toMatchObject({ denoisingStrength: 0.5, exactSteps: true, output: { width: 64, height: 64 } });
  });

  it('has a use for every resize mode', async () => {
    await writeFile(box.path('wide.png'), await pngOf(scene(96, 64)));
    const modes = ['stretch', 'crop', 'fill', 'latent'];
    const hashes: string[] = [];
    for (const mode of modes) {
      hashes.push(await hashOf(['wide.png'], ['--width', '64', '--height', '64', '--resize-mode', mode]));
    }
    expect(new Set(hashes).size).toBe(modes.length);
    expect((await make(['wide.png'], ['--output', 'w.png'])).files[0]).toMatchObject({ width: 96, height: 64 });
  });

  it('works with inpainting models, from a picture and from text', async () => {
    const whole = await hashOf(['in.png'], [], 'inpaint');
    const masked = await hashOf(['in.png'], ['--mask', 'mask.png'], 'inpaint');
    const seen = await hashOf(['in.png'], ['--mask', 'mask.png', '--mask-weight', '0.5'], 'inpaint');
    expect(new Set([whole, masked, seen]).size).toBe(3);
    const { files } = await make(['in.png'], ['--output', 'i.png', '--mask', 'mask.png'], 'inpaint');
    expect(files[0].parameters).toContain('Conditional mask weight: 1.0');
    const text = await box.run([
      'txt2img',
      ...SMALL,
      '-m',
      'inpaint',
      '--width',
      '64',
      '--height',
      '64',
      '--output',
      't.png',
    ]);
    expect({ code: text.code, err: text.err }).toMatchObject({ code: 0 });
  });

  it('works with models that edit a picture, which need one', async () => {
    const hashes: string[] = [];
    for (const scale of ['1', '1.5', '3']) hashes.push(await hashOf(['in.png'], ['--image-cfg-scale', scale], 'edit'));
    expect(new Set(hashes).size).toBe(3);
    const { files } = await make(['in.png'], ['--output', 'e.png'], 'edit');
    expect(files[0].parameters).toContain('Image CFG scale: 1.5');
    const text = await box.run(['txt2img', ...SMALL, '-m', 'edit', '--width', '64', '--height', '64']);
    expect(text).toMatchObject({ code: 1, err: expect.stringContaining('edits pictures') });
    const both = await box.run(['img2img', 'in.png', ...SMALL, '-p', 'a AND b', '-m', 'edit']);
    expect(both).toMatchObject({ code: 2, err: expect.stringContaining('AND') });
  });

  it('gives the result the colours of the picture where asked', async () => {
    const [plain, corrected] = [await hashOf(['in.png'], []), await hashOf(['in.png'], ['--color-correction'])];
    expect(corrected).not.toBe(plain);
  });
});

describe('pictures of all kinds', () => {
  it('are read upright, in 8 bits, on a background, the first frame', async () => {
    const { default: sharp } = await import('sharp');
    const deep = Uint16Array.from({ length: 64 * 64 * 3 }, (_, i) => (i * 97) % 65_536);
    await sharp(deep, { raw: { width: 64, height: 64, channels: 3 } })
      .toColourspace('rgb16')
      .png()
      .toFile(box.path('deep.png'));
    await sharp(await pngOf(scene(64, 64)))
      .toColourspace('cmyk')
      .jpeg()
      .toFile(box.path('cmyk.jpg'));
    await sharp(await pngOf(scene(64, 48)))
      .jpeg()
      .withMetadata({ orientation: 6 })
      .toFile(box.path('turned.jpg'));
    const frames = await Promise.all([scene(64, 64), draw(64, 64, () => 5)].map(pngOf));
    await sharp(frames, { join: { animated: true } })
      .gif()
      .toFile(box.path('two.gif'));
    for (const file of ['deep.png', 'cmyk.jpg', 'two.gif']) expect(await hashOf([file], [])).toMatch(/^[0-9a-f]{64}$/);
    expect((await make(['turned.jpg'], ['--output', 'q.png'])).files[0]).toMatchObject({ width: 48, height: 64 });
    const { err } = await box.run(['img2img', 'two.gif', ...SMALL, '-m', 'one', '--output', 'g.png', '--force']);
    expect(err).toContain('two.gif has 2 frames: the first is taken');
    await writeFile(
      box.path('clear.png'),
      await pngOf(draw(64, 64, (x, _y, c) => (c === 3 ? (x < 32 ? 0 : 255) : 120), 4)),
    );
    expect(await hashOf(['clear.png'], [])).not.toBe(await hashOf(['clear.png'], ['--background', '#000000']));
  });

  it('may have a mask of another size, or one that is black', async () => {
    await writeFile(box.path('half.png'), await pngOf(boxMask(32, 32, [8, 8, 24, 20])));
    await writeFile(box.path('black.png'), await pngOf(boxMask(64, 64, [0, 0, 0, 0])));
    const flags = ['--mask-blur', '0', '--inpaint-area', 'masked'];
    await make(['in.png'], ['--output', 'h.png', '--mask', 'half.png', ...flags]);
    const { pixels } = await readPicture(await readFile(box.path('h.png')));
    const before = scene(64, 64);
    expect(pixels.data.slice(0, 3)).toEqual(before.data.slice(0, 3));
    expect(pixels.data).not.toEqual(before.data);
    const argv = [
      'img2img',
      'in.png',
      ...SMALL,
      '-m',
      'one',
      '--mask',
      'black.png',
      ...flags,
      '--output',
      'b.png',
      '--force',
    ];
    const { code, err } = await box.run(argv);
    expect({ code, err }).toMatchObject({ code: 0, err: expect.stringContaining('the mask is black') });
    expect((await readImageInfo(await readFile(box.path('b.png')))).width).toBe(64);
  });

  it('are refused in one line that names the file where they cannot be read', async () => {
    const png = await pngOf(scene(64, 64));
    await writeFile(box.path('text.png'), 'no picture');
    await writeFile(box.path('empty.png'), '');
    await writeFile(box.path('short.png'), png.subarray(0, png.length / 2));
    const bomb = Buffer.from(png);
    bomb.writeUInt32BE(60_000, 16);
    bomb.writeUInt32BE(60_000, 20);
    await writeFile(box.path('huge.png'), bomb);
    for (const file of ['text.png', 'empty.png', 'short.png', 'huge.png', 'none.png']) {
      for (const argv of [[file], ['in.png', '--mask', file]]) {
        const { code, err } = await refusal(...argv);
        expect(code, file).toBe(1);
        expect(err.trim().split('\n')).toHaveLength(1);
        expect(err).toContain(file);
      }
    }
  });

  it('are refused where flags do not fit them', async () => {
    await writeFile(box.path('big.png'), await pngOf(scene(96, 96)));
    const wrong: [string[], string][] = [
      [['in.png', '--denoising-strength', '1.5'], '--denoising-strength must be a number from 0 to 1'],
      [['in.png', '--resize-mode', 'zoom'], '--resize-mode must be one of'],
      [['in.png', '--mask', 'mask.png', '--resize-mode', 'latent'], 'exclude each other'],
      [['in.png', 'big.png'], 'different sizes'],
      [['in.png', 'big.png', '--width', '64', '--height', '64', '--mask', 'mask.png'], 'one size'],
      [['in.png', 'in.png', 'in.png', '--batch-size', '2'], 'at least 3'],
      [['in.png', '--denoising-strength', '0', '--exact-steps'], 'no steps'],
    ];
    for (const [argv, part] of wrong) {
      expect(await refusal(...argv), argv.join(' ')).toMatchObject({ code: 2, err: expect.stringContaining(part) });
    }
  });
});
