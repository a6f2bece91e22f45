import { copyFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OptionStore } from '../../src/context/options.js';
import { whatFits } from '../../src/runtime/fitting.js';
import { CachedModelProvider } from '../../src/runtime/model-provider.js';
import { estimateRun, type PreparedRun } from '../../src/runtime/prepare.js';
import { ProcessingRunner } from '../../src/runtime/processing-runner.js';
import { workOf } from '../../src/runtime/work.js';
import { CliSandbox } from '../support/cli.js';
import { createFakeEngine } from '../support/fake-native.js';
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
    expect(found[0]).toBe('decoding in tiles (vae tiling on)');
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
