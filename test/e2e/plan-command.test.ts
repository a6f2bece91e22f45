import { copyFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OptionStore } from '../../src/context/options.js';
import type { PixelInput } from '../../src/request/img2img.js';
import { whatFits } from '../../src/runtime/fitting.js';
import { CachedModelProvider } from '../../src/runtime/model-provider.js';
import { estimateRun, type PreparedRun } from '../../src/runtime/prepare.js';
import { ProcessingRunner } from '../../src/runtime/processing-runner.js';
import { workOf } from '../../src/runtime/work.js';
import { CliSandbox } from '../support/cli.js';
import { createFakeEngine } from '../support/fake-native.js';
import { boxMask, pngOf, scene } from '../support/pictures.js';
import { tinyModelPath } from '../support/tiny-model.js';

let box: CliSandbox;
let provider: CachedModelProvider;
beforeAll(async () => {
  box = await CliSandbox.create();
  await copyFile(await tinyModelPath('micro1'), box.path('models/micro1.safetensors'));
  provider = new CachedModelProvider();
});
afterAll(async () => {
  await provider.dispose();
  await box.remove();
});

const ARGV = ['-p', 'a red fox', '-m', 'micro1', '--width', '64', '--height', '64', '--seed', '7', '--steps', '5'];
const EXACT = ['--device', 'reference', '--precision', 'fp32'];

function prepare(request: Record<string, unknown>): Promise<PreparedRun> {
  const runner = new ProcessingRunner({ provider, options: new OptionStore() });
  const commandOptions = {
    model: 'micro1',
    modelsDirs: [box.path('models')],
    cwd: box.folder,
    device: 'reference',
    precision: 'fp32',
    threads: 1,
    overrides: {},
  };
  return runner.prepare({ prompt: 'a fox', seed: 1, width: 64, height: 64, ...request }, { commandOptions });
}

describe('sdgen plan', () => {
  it('prints the whole plan, memory and time, and reads no weight', async () => {
    const engine = createFakeEngine();
    const { code, out } = await box.run(['plan', ...ARGV], { addon: engine.addon });
    expect([code, engine.loads, engine.samples.length]).toEqual([0, 0, 0]);
    expect(out).toMatch(/^memory +\S+ \S+ needed, /m);
    expect(out).toMatch(/^fits +yes$/m);
    expect(out).toMatch(/^work +about \S+ GFLOP: 5 evaluations$/m);
    expect(out).toMatch(/^time +about .* measured peak of 100 GFLOP\/s, of which 25 %, 35 %, 45 % are usual\)$/m);
  });

  it('measures this machine, and gives txt2img a plan that it runs', async () => {
    const { code, out } = await box.run(['plan', ...ARGV, '--json', '--sampler', 'Heun']);
    const document = JSON.parse(out);
    expect(code).toBe(0);
    expect(document.work.evaluations).toEqual({ count: 9, isExact: true });
    expect(document.time.peakGflops).toBeGreaterThan(1);
    const { text, unet, vae, total } = document.time.seconds;
    expect(total).toBeCloseTo(text + unet + vae, 9);
    expect(unet).toBeCloseTo(document.work.unet / (document.time.peakGflops * 1e9 * document.time.shares.unet), 9);
    const dry = JSON.parse((await box.run(['txt2img', ...ARGV, '--sampler', 'Heun', '--dry-run', '--json'])).out);
    expect([dry.plan, dry.planSha256, dry.work]).toEqual([document.plan, document.planSha256, document.work]);
    expect(dry.time).toBeUndefined();
  });

  it('says that the evaluations of DPM adaptive are a usual number', async () => {
    const { out } = await box.run(['plan', ...ARGV, '--sampler', 'DPM adaptive'], { addon: createFakeEngine().addon });
    expect(out).toMatch(/^work .*: perhaps 75 evaluations$/m);
    expect(out).toMatch(/^time .*, by a usual number of evaluations \(/m);
  });

  it('plans runs that begin with pictures, and img2img runs the plan', async () => {
    await writeFile(box.path('in.png'), await pngOf(scene(72, 64)));
    await writeFile(box.path('mask.png'), await pngOf(boxMask(72, 64, [16, 16, 48, 40])));
    const flags = [...ARGV.slice(0, 4), '--seed', '7', '--steps', '5', ...EXACT, '--mask', 'mask.png'];
    const { code, out } = await box.run(['plan', 'in.png', ...flags]);
    expect(code).toBe(0);
    expect(out).toMatch(
      /^begins with +a picture of 72x64 \([0-9a-f]{12}\), stretch to 72x64\n +strength 0.75, of 5 steps$/m,
    );
    expect(out).toMatch(/^mask +72x64 \([0-9a-f]{12}\), blur 4 and 4, content original, area whole$/m);
    expect(out).toMatch(/^work .*: 4 evaluations$/m);
    const planned = await box.run(['plan', 'in.png', ...flags, '--json']);
    await writeFile(box.path('pictures.json'), planned.out);
    const run = async (...argv: string[]): Promise<string> => {
      const all = ['img2img', 'in.png', '--mask', 'mask.png', ...argv, '--json', '-o', 'o.png', '--force'];
      const made = await box.run(all);
      expect({ code: made.code, err: made.err }).toMatchObject({ code: 0 });
      return JSON.parse(made.out).files[0].pixelSha256;
    };
    expect(await run('--plan', 'pictures.json')).toBe(await run(...flags));
  });

  it.each([
    [['-p', 'a', '--mask', 'x.png'], '--mask is of a run that begins with a picture'],
    [['in.png', '-p', 'a', '--hires'], '--hires is of runs from text alone'],
  ])('refuses what is of the other kind of run: %j', async (argv, message) => {
    const { code, err } = await box.run(['plan', ...argv, '-m', 'micro1']);
    expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining(message) });
  });

  it('says beforehand that a run will not fit', async () => {
    const engine = createFakeEngine({ peakBytes: 1e18 });
    const { code, out } = await box.run(['plan', ...ARGV], { addon: engine.addon });
    expect([code, out]).toEqual([0, expect.stringMatching(/^fits +no, at no size$/m)]);
  });

  it('takes every flag of txt2img', async () => {
    const { code } = await box.run(['plan', ...ARGV, ...EXACT, '-o', 'x.png', '--grid', '--force', '--dry-run', '-q']);
    expect(code).toBe(0);
  });
});

describe('the work of a plan', () => {
  it('is what the engine reports to have done', async () => {
    const requests: Record<string, unknown>[] = [
      { steps: 3, sampler: 'Heun', count: 2 },
      { steps: 4, sampler: 'Restart', batchSize: 2, cfgScale: 1 },
      { steps: 3, sampler: 'PLMS', negativePrompt: `${'a long one, '.repeat(30)}` },
      { steps: 3, sampler: 'Euler', prompt: 'a fox AND snow AND night :0.5' },
      { steps: 2, hires: true, hiresScale: 1.5, hiresUpscaler: 'Lanczos', batchSize: 2 },
    ];
    for (const request of requests) {
      const runner = new ProcessingRunner({ provider, options: new OptionStore() });
      const { context, plan } = await prepare(request);
      const { commandOptions } = context;
      const { profile = [] } = await runner.run({ plan }, { commandOptions, profile: true });
      const work = workOf(plan, context);
      for (const part of ['text', 'vae', 'unet'] as const) {
        const done = profile.reduce((sum, row) => sum + (row.part === part ? row.flops : 0), 0);
        // Steps share what depends on the text alone, which the estimate counts each time.
        expect(work[part] / done, `${part} of ${JSON.stringify(request)}`).toBeGreaterThan(0.99);
        expect(work[part] / done, `${part} of ${JSON.stringify(request)}`).toBeLessThan(1.15);
      }
    }
  });
});

describe('what would fit', () => {
  const needed = ({ plan, context }: PreparedRun): number => {
    const { memory } = estimateRun(plan, context, undefined);
    return memory.engineBytes - memory.loadedBytes + memory.pictureBytes;
  };

  it('counts what is encoded, and tiles where that is the largest', async () => {
    const large = scene(1024, 768) as PixelInput;
    const picture = { initImages: [large], width: 256, height: 256, resizeMode: 'latent' };
    const whole = await prepare({ ...picture, vaeTiling: 'off' });
    const tiled = await prepare({ ...picture, vaeTiling: 'on' });
    const text = await prepare({ width: 256, height: 256 });
    expect(whole.estimate.parts.encoder.arenaBytes).toBeGreaterThan(text.estimate.arenaBytes);
    expect(needed(tiled)).toBeLessThan(needed(whole) / 2);
    expect(needed(text)).toBeLessThan(needed(tiled));
    expect(whatFits(whole.plan, whole.context, undefined, { host: needed(tiled) })[0]).toBe(
      'the VAE in tiles (vae tiling on)',
    );
    expect(workOf(whole.plan, whole.context).vae).toBeGreaterThan(4 * workOf(text.plan, text.context).vae);
  });

  it('is a smaller batch, the largest that does', async () => {
    const large = await prepare({ batchSize: 8 });
    const half = await prepare({ batchSize: 4, count: 2 });
    const found = whatFits(large.plan, large.context, undefined, { host: needed(half) });
    expect(found[0]).toBe('a batch size of 4');
    expect(whatFits(large.plan, large.context, undefined, { host: needed(half) - 1 })[0]).toBe('a batch size of 3');
  });

  it('is decoding in tiles, or a smaller picture', async () => {
    const whole = await prepare({ width: 1024, height: 768, vaeTiling: 'off' });
    const tiled = await prepare({ width: 1024, height: 768, vaeTiling: 'on' });
    expect(needed(tiled)).toBeLessThan(needed(whole));
    const found = whatFits(whole.plan, whole.context, undefined, { host: needed(whole) - 1 });
    expect(found[0]).toBe('the VAE in tiles (vae tiling on)');
    expect(found[1]).toMatch(/^\d+x\d+ pixels$/);
    const [width = 0, height = 0] = found[1]?.match(/\d+/g)?.map(Number) ?? [];
    expect(needed(await prepare({ width, height, vaeTiling: 'off' }))).toBeLessThan(needed(whole));
  });

  it('is fewer pictures at a time where the finished ones take the room', async () => {
    const many = await prepare({ count: 1000, width: 256, height: 256 });
    const few = await prepare({ count: 400, width: 256, height: 256 });
    expect(whatFits(many.plan, many.context, undefined, { host: needed(few) })).toContain('400 pictures at a time');
  });

  it('is nothing where the weights alone are too much', async () => {
    const run = await prepare({});
    expect(whatFits(run.plan, run.context, undefined, { host: 1000 })).toEqual([]);
  });
});
