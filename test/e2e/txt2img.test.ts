import { EventEmitter } from 'node:events';
import { copyFile, readdir, readFile } from 'node:fs/promises';
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseInfotext } from '../../src/image/infotext.js';
import { readPngTexts } from '../../src/image/png-metadata.js';
import { CliSandbox } from '../support/cli.js';
import { tinyModelPath } from '../support/tiny-model.js';

let box: CliSandbox;
beforeEach(async () => {
  box = await CliSandbox.create();
  await copyFile(await tinyModelPath('micro1'), box.path('models/micro1.safetensors'));
});
afterEach(() => box.remove());

const base = ['txt2img', '-p', 'a red fox in the snow', '-m', 'micro1', '--width', '72', '--height', '56'];
const exact = ['--device', 'reference', '--precision', 'fp32'];
const short = [...base, '--steps', '3', '--seed', '7', ...exact];

describe('txt2img on the real engine', () => {
  it('makes a PNG of the asked size that says how it was made', async () => {
    const flags = ['--negative-prompt', 'blurry', '--rng', 'cpu', '--clip-skip', '2', '--device', 'reference'];
    const { code, out } = await box.run([...short, ...flags, '--precision', 'fp32']);
    expect({ code, out }).toEqual({ code: 0, out: 'outputs/00001-7.png\n' });
    const png = await readFile(box.path('outputs/00001-7.png'));
    const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
    expect(info).toMatchObject({ width: 72, height: 56, channels: 3 });
    expect(new Set(data).size).toBeGreaterThan(50);
    const { prompt, negativePrompt, parameters } = parseInfotext(readPngTexts(png)[0]?.text ?? '');
    expect([prompt, negativePrompt]).toEqual(['a red fox in the snow', 'blurry']);
    expect(Object.fromEntries(parameters)).toMatchObject({
      Steps: '3',
      Sampler: 'DPM++ 2M',
      'Schedule type': 'Karras',
      Seed: '7',
      'Clip skip': '2',
      RNG: 'CPU',
      Model: 'micro1',
      Device: 'reference',
      Precision: 'fp32',
    });
  });

  it('says what it chose to compute with, in the plan and in the picture', async () => {
    const argv = [...base, '--steps', '1', '--seed', '7', '--json'];
    const { device, plan } = JSON.parse((await box.run([...argv, '--dry-run'])).out);
    expect(plan.device).toEqual({ name: 'cpu', precision: device.precision });
    const { files } = JSON.parse((await box.run(argv)).out);
    const text = readPngTexts(await readFile(box.path(files[0].path)))[0]?.text ?? '';
    expect(Object.fromEntries(parseInfotext(text).parameters)).toMatchObject({
      Device: 'cpu',
      Precision: device.precision,
    });
  });

  it('gives the same pixels again, and others for another seed', async () => {
    const pixels = async (...more: string[]): Promise<string> =>
      JSON.parse((await box.run([...short, '--json', ...more])).out).files[0].pixelSha256;
    const first = await pixels();
    expect(await pixels('--threads', '1')).toBe(first);
    expect(await pixels('--seed', '8')).not.toBe(first);
  });

  it.each(['png', 'jpg', 'webp', 'avif'])('makes the same pixels again from a .%s picture', async (extension) => {
    const output = ['--output', `first.${extension}`];
    const first = await box.run([
      ...short,
      '-n',
      'blur',
      '--sampler',
      'Euler',
      '--clip-skip',
      '2',
      '--json',
      ...output,
    ]);
    // A picture's device and precision are facts of it, not wishes: "auto" may take others.
    const again = ['txt2img', '--from', `first.${extension}`, '--json', ...exact];
    const second = await box.run(again);
    expect(second.code, second.err).toBe(0);
    const hash = (out: string): string => JSON.parse(out).files[0].pixelSha256;
    expect(hash(second.out)).toBe(hash(first.out));
    expect(hash((await box.run([...again, '--seed', '8'])).out)).not.toBe(hash(first.out));
  });

  it('refuses a format that the name contradicts, and takes it from --format otherwise', async () => {
    const refused = await box.run([...short, '--format', 'webp', '--output', 'a.png']);
    expect(refused).toMatchObject({ code: 2 });
    expect(refused.err).toContain('format webp is written to names in .webp, not a.png');
    expect((await box.run([...short, '--format', 'jpeg', '-q'])).out).toBe('outputs/00001-7.jpg\n');
  });

  it('profiles every part', async () => {
    const { out } = await box.run([...short, '--profile', '--json']);
    const { profile, timings } = JSON.parse(out);
    expect(new Set(profile.map((row: { part: string }) => row.part))).toEqual(new Set(['text', 'unet', 'vae']));
    const share = profile.reduce((sum: number, row: { share: number }) => sum + row.share, 0);
    expect(share).toBeCloseTo(1, 6);
    for (const phase of ['load', 'encode', 'sample', 'decode', 'save']) expect(timings[phase]).toBeGreaterThan(0);
  });

  it('estimates without loading, and refuses what cannot fit', async () => {
    const plan = await box.run([...short, '--dry-run', '--json']);
    expect(JSON.parse(plan.out).estimate.peakBytes).toBeGreaterThan(1e6);
    const huge = await box.run([...short, '--width', '16384', '--height', '16384', '--batch-size', '64']);
    expect(huge.code).toBe(1);
    expect(huge.err).toMatch(/^error: this needs .* of memory and .* is available/);
    expect(await readdir(box.folder)).not.toContain('outputs');
  });

  it('stops in the middle of sampling and leaves no file', async () => {
    const signals = new EventEmitter();
    const started = Date.now();
    const run = box.run([...base, '--steps', '1000', '--width', '128', '--height', '128'], { signals });
    setTimeout(() => signals.emit('SIGINT'), 1500);
    const { code, out, err } = await run;
    expect({ code, out }).toEqual({ code: 130, out: '' });
    expect(err).toContain('interrupted: nothing was written');
    expect(Date.now() - started).toBeLessThan(20_000);
    expect(await readdir(box.folder)).not.toContain('outputs');
  });

  it('lists and inspects the model', async () => {
    expect((await box.run(['models', 'list'])).out).toContain('micro1');
    const { out, code } = await box.run(['models', 'inspect', 'micro1', '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      family: 'sd1',
      predictionType: { value: 'epsilon' },
      text: { width: 32, layers: 2, heads: { value: 4, origin: 'metadata' } },
    });
  });

  it('passes its own doctor', async () => {
    const { code, out } = await box.run(['doctor']);
    expect(out).not.toContain('FAULT');
    expect(code).toBe(0);
  });
});
