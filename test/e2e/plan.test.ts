import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GenerationPlan } from '../../src/pipeline/plan.js';
import { type GenerateEvent, generate } from '../../src/runtime/generate.js';
import { CliSandbox } from '../support/cli.js';
import { tinyModelPath } from '../support/tiny-model.js';

let box: CliSandbox;
let plan: GenerationPlan;
let pixels: string[];

const request = ['-p', 'a (red:1.3) fox [in snow:at night:0.5]', '--seed', '7', '--steps', '4', '--sampler', 'Euler a'];
const size = ['--width', '72', '--height', '56', '--batch-size', '2', '--subseed', '3', '--subseed-strength', '0.4'];
const exact = ['--device', 'reference', '--precision', 'fp32'];

const hashes = (out: string): string[] =>
  JSON.parse(out).files.map(({ pixelSha256 }: { pixelSha256: string }) => pixelSha256);

async function save(name: string, value: unknown): Promise<string> {
  await writeFile(box.path(name), typeof value === 'string' ? value : JSON.stringify(value));
  return name;
}

beforeAll(async () => {
  box = await CliSandbox.create();
  await copyFile(await tinyModelPath('micro1'), box.path('models/micro1.safetensors'));
  const argv = ['txt2img', ...request, ...size, ...exact, '-m', 'micro1', '--json'];
  plan = JSON.parse((await box.run([...argv, '--dry-run'])).out).plan;
  pixels = hashes((await box.run([...argv, '-o', 'first/'])).out);
  await save('plan.json', plan);
});
afterAll(() => box.remove());

describe('a saved plan', () => {
  it('gives the pictures of the run that it was saved from, whatever the environment says', async () => {
    const env = { SDGEN_STEPS: '9', SDGEN_PRECISION: 'bf16', SDGEN_MODEL: 'nowhere' };
    const { code, out, err } = await box.run(['txt2img', '--plan', 'plan.json', '--json', '-o', 'again/'], { env });
    expect({ code, pixels: hashes(out) }).toEqual({ code: 0, pixels });
    expect(err).not.toContain('warning');
    expect(JSON.parse(out).plan.device).toEqual(plan.device);
  });

  it('is taken out of what --dry-run --json printed, and printed again as it is', async () => {
    const file = await save('document.json', { plan, planSha256: 'x' });
    const { out } = await box.run(['txt2img', '--plan', file, '--dry-run', '--json']);
    expect(JSON.parse(out).plan).toEqual(plan);
  });

  it('finds its model by its content, under any name', async () => {
    await mkdir(box.path('other/deep'), { recursive: true });
    await copyFile(box.path('models/micro1.safetensors'), box.path('other/deep/renamed.safetensors'));
    const argv = ['txt2img', '--plan', 'plan.json', '--models-dir', 'other', '--json', '-o', 'renamed/'];
    const { code, out, err } = await box.run(argv, { env: { XDG_CACHE_HOME: box.path('cache') } });
    expect({ code, pixels: hashes(out) }).toEqual({ code: 0, pixels });
    expect(err).toContain('looking for the model: ');
  });

  it('of fp32 gives the same bytes on another device, and says so', async () => {
    const { out, err } = await box.run(['txt2img', '--plan', 'plan.json', '--device', 'cpu', '--json', '-o', 'cpu/']);
    expect(hashes(out)).toEqual(pixels);
    expect(err).toContain('note: the plan is for reference fp32 and runs on cpu fp32: the same bytes');
    const cuda = await save('cuda.json', { ...plan, device: { name: 'cuda', precision: 'fp32' } });
    expect(hashes((await box.run(['txt2img', '--plan', cuda, '--json', '-o', 'cuda/'])).out)).toEqual(pixels);
  });

  it('is what the library runs too', async () => {
    const settings = { modelsDir: [box.path('models')] };
    const events: GenerateEvent[] = [];
    for await (const event of generate({ plan }, settings)) events.push(event);
    const done = events.find((event) => event.type === 'done');
    expect(done?.result.images.map(({ pixelSha256 }) => pixelSha256)).toEqual(pixels);
  });
});

describe('a plan that cannot be run', () => {
  const refusals: [what: string, argv: () => Promise<string[]>, code: number, message: RegExp][] = [
    [
      'with a flag that it answers',
      async () => ['plan.json', '--cfg-scale', '3'],
      2,
      /^error: --plan says all .* leave out --cfg-scale$/,
    ],
    ['with a prompt', async () => ['plan.json', '-p', 'x'], 2, /leave out --prompt$/],
    ['that is not there', async () => ['no.json'], 1, /cannot read .*no.json/],
    ['that is no JSON', async () => [await save('a.json', '{"format"')], 1, /a.json is not JSON/],
    [
      'of another version',
      async () => [await save('b.json', { ...plan, format: 'sdgen-plan-0' })],
      1,
      /b.json: the plan's format is not valid/,
    ],
    [
      'with a number out of range',
      async () => [await save('c.json', { ...plan, cfgScale: 1e9 })],
      1,
      /the plan's cfgScale/,
    ],
    [
      'for another model',
      async () => [await save('d.json', { ...plan, model: { ...plan.model, sha256: 'f'.repeat(64) } })],
      1,
      /there is no model of hash ffffffffff \("micro1"\) in .*models.*: give it with --model/,
    ],
    [
      'with a model of another content',
      async () => [await save('d.json', { ...plan, model: { ...plan.model, sha256: 'f'.repeat(64) } }), '-m', 'micro1'],
      1,
      /the plan is for the model ffffffffff, not for /,
    ],
    [
      'of a sampler that is not there',
      async () => [await save('e.json', { ...plan, sampler: { ...plan.sampler, id: 'magic' } })],
      2,
      /magic/,
    ],
    [
      'whose size is not its latent',
      async () => [await save('f.json', { ...plan, width: 80 })],
      1,
      /80x56 is not 8 times its latent's 9x7/,
    ],
    [
      'with other heads',
      async () => [await save('g.json', { ...plan, model: { ...plan.model, unetHeads: [1, 2] } })],
      1,
      /its UNet has 1, 2 attention heads/,
    ],
    [
      'in a precision that is not there',
      async () => [await save('h.json', { ...plan, device: { name: 'reference', precision: 'fp16' } })],
      2,
      /precision fp16/,
    ],
  ];
  it.each(refusals)('%s is refused in one line', async (_, argv, code, message) => {
    const outcome = await box.run(['txt2img', '--plan', ...(await argv()), '-o', 'never/']);
    expect(outcome.err.trim().split('\n').at(-1)).toMatch(message);
    expect([outcome.code, outcome.out]).toEqual([code, '']);
  });

  it('whose tokens are not its vocabulary is refused before anything is loaded', async () => {
    const text = JSON.stringify(plan).replace(/"tokens":\[\d+/, '"tokens":[999999');
    const { code, err } = await box.run(['txt2img', '--plan', await save('t.json', text)]);
    expect([code, err]).toEqual([1, expect.stringMatching(/the token 999999 is not in its vocabulary of \d+/)]);
  });
});
