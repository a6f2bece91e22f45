import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readImageInfo } from '../../src/image/codec.js';
import { CliSandbox } from '../support/cli.js';
import { tinyModelPath } from '../support/tiny-model.js';

let box: CliSandbox;
beforeAll(async () => {
  box = await CliSandbox.create();
  await copyFile(await tinyModelPath('micro1'), box.path('models/micro1.safetensors'));
});
afterAll(() => box.remove());

const ARGV = ['-p', 'a red fox', '-m', 'micro1', '--width', '64', '--height', '48', '--seed', '7', '--steps', '3'];
const HIRES = ['--hires', '--hires-scale', '1.5', '--hires-steps', '2', '--hires-prompt', 'a fox, [day:night:1.5]'];
const EXACT = ['--device', 'reference', '--precision', 'fp32'];

async function make(output: string, ...argv: string[]): Promise<Buffer> {
  const outcome = await box.run(['txt2img', ...ARGV, '-o', output, '--force', ...argv]);
  expect({ code: outcome.code, err: outcome.code === 0 ? '' : outcome.err }).toEqual({ code: 0, err: '' });
  return readFile(box.path(output));
}

describe('txt2img --hires', () => {
  it.each([
    ['latents', [], '96x72'],
    ['pixels', ['--hires-upscaler', 'Lanczos'], '96x72'],
    ['the middle', ['--hires-upscaler', 'nearest', '--hires-resize-x', '80', '--hires-resize-y', '80'], '80x80'],
  ])('gives the same picture on reference and cpu, and one that verifies: %s', async (name, flags, size) => {
    const reference = await make(`${name}.png`, ...HIRES, ...flags, ...EXACT);
    const { width, height } = await readImageInfo(reference);
    expect(`${width}x${height}`).toBe(size);
    const cpu = await box.run([
      'txt2img',
      ...ARGV,
      ...HIRES,
      ...flags,
      '-o',
      'cpu.png',
      '--force',
      '--device',
      'cpu',
      '--precision',
      'fp32',
      '--json',
    ]);
    const here = await box.run(['txt2img', ...ARGV, ...HIRES, ...flags, '-o', 'x.png', '--force', ...EXACT, '--json']);
    const hash = (out: string): string => JSON.parse(out).files[0].pixelSha256;
    expect(hash(cpu.out)).toBe(hash(here.out));
    const verified = await box.run(['verify', `${name}.png`, '--device', 'cpu']);
    expect({ code: verified.code, out: verified.out }).toEqual({ code: 0, out: expect.stringContaining('identical') });
  });

  it('makes a picture of a batch as it makes it alone', async () => {
    const argv = ['txt2img', ...ARGV, ...HIRES, ...EXACT, '--json'];
    const batch = JSON.parse((await box.run([...argv, '--batch-size', '2', '-o', 'both'])).out);
    const alone = JSON.parse((await box.run([...argv, '--seed', '8', '-o', 'alone'])).out);
    expect(batch.files[1].pixelSha256).toBe(alone.files[0].pixelSha256);
    expect(batch.files[0].pixelSha256).not.toBe(alone.files[0].pixelSha256);
  });

  it('is made again from its parameters, and from its saved plan', async () => {
    const flags = ['--hires-sampler', 'Euler a', '--hires-cfg-scale', '3', '--hires-denoising-strength', '0.5'];
    const first = await make('first.png', ...HIRES, ...flags, ...EXACT);
    const parameters = (await readImageInfo(first)).texts.find(({ keyword }) => keyword === 'parameters')?.text;
    expect(parameters).toContain(
      'Denoising strength: 0.5, Hires sampler: Euler a, Hires prompt: "a fox, [day:night:1.5]", ' +
        'Hires schedule type: Automatic, Hires upscale: 1.5, Hires steps: 2, Hires upscaler: Latent, Hires CFG Scale: 3',
    );
    const again = await box.run(['txt2img', '--from', 'first.png', '-o', 'again.png', ...EXACT]);
    expect({ code: again.code, err: again.err }).toMatchObject({ code: 0 });
    expect(again.err).not.toContain('not taken over');
    expect(await readFile(box.path('again.png'))).toEqual(first);
    const plan = await box.run(['txt2img', ...ARGV, ...HIRES, ...flags, ...EXACT, '--dry-run', '--json']);
    await writeFile(box.path('plan.json'), plan.out);
    const planned = await box.run(['txt2img', '--plan', 'plan.json', '-o', 'planned.png', '-m', 'micro1']);
    expect(planned.code).toBe(0);
    expect(await readFile(box.path('planned.png'))).toEqual(first);
  });

  it('is decided by its plan: another guidance there gives another picture', async () => {
    const made = await box.run(['txt2img', ...ARGV, ...HIRES, ...EXACT, '--dry-run', '--json']);
    const { plan } = JSON.parse(made.out);
    plan.hires.cfgScale = 6;
    await writeFile(box.path('other.json'), JSON.stringify(plan));
    const other = await box.run(['txt2img', '--plan', 'other.json', '-o', 'other.png', '-m', 'micro1', '--json']);
    const same = await box.run(['txt2img', ...ARGV, ...HIRES, ...EXACT, '-o', 'same.png', '--json']);
    expect(JSON.parse(other.out).files[0].latentSha256).not.toBe(JSON.parse(same.out).files[0].latentSha256);
  });

  it('is left out by --no-hires, whoever asks for it', async () => {
    await make('second.png', ...HIRES, ...EXACT);
    const plain = await make('plain.png', ...EXACT);
    const env = { SDGEN_HIRES: '1', SDGEN_HIRES_SCALE: '1.5' };
    const ways: [string[], Record<string, string>][] = [
      [[...ARGV], env],
      [['--from', 'second.png', '-m', 'micro1'], {}],
    ];
    for (const [argv, settings] of ways) {
      const all = ['txt2img', ...argv, '--no-hires', ...EXACT, '-o', 'first.png', '--force'];
      const { code, err } = await box.run(all, { env: settings });
      expect({ code, err }).toMatchObject({ code: 0 });
      expect(await readFile(box.path('first.png'))).toEqual(plain);
    }
    const both = await box.run(['txt2img', ...ARGV, '--hires', '--no-hires']);
    expect(both).toMatchObject({ code: 2, err: expect.stringContaining('exclude each other') });
    const asked = await box.run(['txt2img', ...ARGV, '--hires', '--dry-run', ...EXACT], {
      env: { SDGEN_NO_HIRES: '1' },
    });
    expect(asked.out).toContain('then ');
  });

  it('is told by plan and dry runs', async () => {
    const { code, out } = await box.run(['txt2img', ...ARGV, ...HIRES, ...EXACT, '--dry-run']);
    expect(code).toBe(0);
    expect(out).toMatch(/then +96x72 by Latent \(96x72\), latent 12x9\n +2 steps of DPM\+\+ 2M/);
    const plan = await box.run(['plan', ...ARGV, ...HIRES, '--json', ...EXACT]);
    const document = JSON.parse(plan.out);
    expect(document.plan.hires).toMatchObject({ width: 96, height: 72, steps: 2, denoisingStrength: 0.7 });
    expect(document.work.evaluations.count).toBe(5);
  });

  it.each([
    [['--hires-scale', '2'], '--hires-scale is of a second pass: add --hires'],
    [['--hires', '--hires-upscaler', 'ESRGAN'], 'unknown upscaler "ESRGAN"'],
    [['--hires', '--hires-denoising-strength', '2'], '--hires-denoising-strength must be a number from 0.01 to 1'],
    [['--hires', '--hires-steps', '900'], 'in the second pass: exactly 900 steps'],
  ])('refuses %j', async (flags, message) => {
    const { code, err } = await box.run(['txt2img', ...ARGV, ...flags, '-o', 'no.png']);
    expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining(message) });
    expect(err.trim().split('\n')).toHaveLength(1);
  });
});
