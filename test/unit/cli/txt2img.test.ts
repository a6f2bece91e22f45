import { createHash } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { encodePng } from '../../../src/image/codec.js';
import { readPngTexts } from '../../../src/image/png-metadata.js';
import { CliSandbox } from '../../support/cli.js';
import { createFakeEngine } from '../../support/fake-native.js';

let box: CliSandbox;
beforeEach(async () => {
  box = await CliSandbox.create({ 'one.safetensors': 'weights' });
});
afterEach(() => box.remove());

const SMALL = ['--model', 'one', '--width', '16', '--height', '24', '--steps', '2'];
const base = ['txt2img', '--prompt', 'a fox', ...SMALL, '--seed', '7'];

describe('txt2img', () => {
  it('writes outputs/00001-SEED.png with the webui text and prints its path', async () => {
    const { code, out, err } = await box.run(base, { addon: createFakeEngine().addon });
    expect({ code, out }).toEqual({ code: 0, out: 'outputs/00001-7.png\n' });
    expect(err).toContain('1 picture of 16x24, 2 steps of DPM++ 2M on reference fp32, model one');
    const png = await readFile(box.path('outputs/00001-7.png'));
    const sha = createHash('sha256').update('weights').digest('hex').slice(0, 10);
    expect(readPngTexts(png)).toEqual([
      {
        keyword: 'parameters',
        text:
          'a fox\nSteps: 2, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.0, Seed: 7, Size: 16x24, ' +
          `Model hash: ${sha}, Model: one, Device: reference, Precision: fp32, Version: sdgen 0.1.0`,
      },
    ]);
  });

  it('numbers further pictures and does not touch the ones there', async () => {
    const { addon } = createFakeEngine();
    await box.run(base, { addon });
    const again = await box.run([...base, '--count', '2', '--batch-size', '2', '--grid'], { addon });
    expect(again.out.trim().split('\n')).toEqual([
      'outputs/00002-7.png',
      'outputs/00003-8.png',
      'outputs/00004-9.png',
      'outputs/00005-10.png',
      'outputs/grid-0001.png',
    ]);
    expect((await box.run([...base, '--grid', '-q'], { addon })).out).toContain('outputs/grid-0002.png');
  });

  it('names several pictures of one file in seed order', async () => {
    const { out } = await box.run([...base, '--count', '3', '--output', 'x/y.png', '--grid'], {
      addon: createFakeEngine().addon,
    });
    expect(out).toBe('x/y-1.png\nx/y-2.png\nx/y-3.png\nx/y-grid.png\n');
    expect((await readdir(box.path('x'))).sort()).toEqual(['y-1.png', 'y-2.png', 'y-3.png', 'y-grid.png']);
  });

  it('refuses an existing file before anything is computed, and replaces it with --force', async () => {
    const engine = createFakeEngine();
    await writeFile(box.path('x.png'), 'old');
    const refused = await box.run([...base, '--output', 'x.png'], { addon: engine.addon });
    expect(refused.code).toBe(1);
    expect(refused.err).toContain('error: x.png exists; use --force to replace it\n');
    expect(engine.loads).toBe(0);
    expect(await readFile(box.path('x.png'), 'utf8')).toBe('old');
    const forced = await box.run([...base, '--output', 'x.png', '--force'], { addon: engine.addon });
    expect(forced.code).toBe(0);
    expect((await readFile(box.path('x.png'))).subarray(1, 4).toString()).toBe('PNG');
  });

  it('writes one PNG to standard output, and nothing else', async () => {
    const { addon } = createFakeEngine();
    const { code, outBytes } = await box.run([...base, '--output', '-'], { addon });
    expect(code).toBe(0);
    expect(readPngTexts(outBytes)[0]?.keyword).toBe('parameters');
    const terminal = await box.run([...base, '--output', '-'], { addon, stdoutIsTTY: true });
    expect(terminal).toMatchObject({ code: 2, out: '' });
    expect(terminal.err).toContain('not to a terminal');
    const two = await box.run([...base, '--output', '-', '--count', '2'], { addon });
    expect(two.code).toBe(2);
    expect(two.err).toContain('exactly one picture, not 2');
    const both = await box.run([...base, '--output', '-', '--json'], { addon });
    expect(both.code).toBe(2);
  });

  it('prints one JSON document that agrees with the files', async () => {
    const { out, code } = await box.run([...base, '--batch-size', '2', '--json', '--profile', '--quiet'], {
      addon: createFakeEngine().addon,
    });
    expect(code).toBe(0);
    const document = JSON.parse(out);
    expect(document.files.map((file: { seed: number }) => file.seed)).toEqual([7, 8]);
    for (const file of document.files) {
      const bytes = await readFile(box.path(file.path));
      expect(file.fileSha256).toBe(createHash('sha256').update(bytes).digest('hex'));
      expect(file.latentSha256).toMatch(/^[0-9a-f]{64}$/);
      expect(file.parameters).toContain(`Seed: ${file.seed}`);
    }
    expect(document.device).toMatchObject({ name: 'reference', precision: 'fp32' });
    expect(document.plan).toMatchObject({ width: 16, height: 24, steps: 2, images: 2, tiling: 'none' });
    expect(Object.keys(document.timings)).toEqual(['load', 'encode', 'sample', 'decode', 'save', 'total']);
    expect(document.profile.map((row: { part: string }) => row.part).sort()).toEqual(['text', 'unet', 'vae']);
  });

  it('says when a picture had to be decoded again in fp32', async () => {
    const again = await box.run([...base, '--json', '-q'], { addon: createFakeEngine({ retries: true }).addon });
    expect(again.code).toBe(0);
    expect(again.err).toContain(
      "warning: picture 1: the VAE's result in fp32 was not finite; it was made again in fp32",
    );
    expect(JSON.parse(again.out).files[0].retriedInFp32).toBe(true);
    const plain = await box.run([...base, '--json', '-q', '--force'], { addon: createFakeEngine().addon });
    expect(plain.err).not.toContain('made again');
    expect(JSON.parse(plain.out).files[0].retriedInFp32).toBe(false);
  });

  it('says when what a picture is made from had to be encoded again in fp32', async () => {
    const wholeRun = async (argv: readonly string[], encodingRetries: boolean) => {
      const vae = { channels: 32, channelMultipliers: [1, 2], hasEncoder: true };
      const engine = createFakeEngine({ encodingRetries, description: { vae } });
      const { code, out, err } = await box.run([...argv, '--json', '-q', '--force'], { addon: engine.addon });
      expect([code, err]).toEqual([0, encodingRetries ? expect.stringContaining('it was made again in fp32') : '']);
      return JSON.parse(out).files.map(({ retriedInFp32 }: { retriedInFp32: boolean }) => retriedInFp32);
    };
    await writeFile(box.path('start.png'), await encodePng(new Uint8Array(16 * 24 * 3).fill(90), 16, 24));
    const hires = [...base, '--hires', '--hires-upscaler', 'Lanczos', '--hires-steps', '2'];
    const image = ['img2img', 'start.png', ...base.slice(1), '--count', '2'];
    expect(await wholeRun(hires, true)).toEqual([true]);
    expect(await wholeRun(hires, false)).toEqual([false]);
    expect(await wholeRun(image, true)).toEqual([true, true]);
    expect(await wholeRun(image, false)).toEqual([false, false]);
  });

  it('prints the profile as a table on stderr', async () => {
    const { out, err } = await box.run([...base, '--profile', '-q'], { addon: createFakeEngine().addon });
    expect(out).toBe('outputs/00001-7.png\n');
    expect(err).toMatch(/^part +op +calls +time +GFLOP\/s +share\n/);
    expect(err).toMatch(/text +linear +2 +500\.00 ms +2\.00 +33\.3 %/);
  });

  it('prints the plan without loading weights or writing', async () => {
    const engine = createFakeEngine();
    const json = await box.run([...base, '--dry-run', '--json'], { addon: engine.addon });
    const document = JSON.parse(json.out);
    expect(document.plan.prompt.parts[0].texts[0].chunks[0].tokens).toHaveLength(77);
    expect(document.plan.sigmas).toHaveLength(3);
    expect(document.memory.fits).toBe(true);
    const text = await box.run([...base, '--dry-run', '--count', '10', '--cfg-scale', '1'], { addon: engine.addon });
    expect(text.out).toContain('sampler   DPM++ 2M (dpmpp_2m), scheduler karras');
    expect(text.out).toContain('never evaluated at cfg scale 1');
    expect(text.out).toContain('seeds     7 8 9 10 11 12 13 14 … (10)');
    expect(engine.loads + engine.samples.length).toBe(0);
    expect(await readdir(box.folder)).not.toContain('outputs');
  });

  it('reads flags from the environment, and the command line wins', async () => {
    const env = { SDGEN_STEPS: '5', SDGEN_SEED: '3', SDGEN_QUIET: '1', SDGEN_MODELS_DIR: box.path('models') };
    const { addon } = createFakeEngine();
    const { out, err } = await box.run([...base, '--json'], { addon, env });
    expect(JSON.parse(out).plan.steps).toBe(2);
    expect(err).toBe('');
    const argv = ['txt2img', '-p', 'x', '-m', 'one', '--width', '16', '--height', '16', '--dry-run', '--json'];
    const { plan } = JSON.parse((await box.run(argv, { addon, env })).out);
    expect(plan).toMatchObject({ steps: 5, batches: [[3]] });
    const wrong = await box.run(argv, { addon, env: { SDGEN_STEPS: 'many' } });
    expect(wrong).toMatchObject({
      code: 2,
      err: 'error: SDGEN_STEPS must be a whole number from 1 to 1000; many is not\n',
    });
    const flag = await box.run(argv, { addon, env: { SDGEN_GRID: 'perhaps' } });
    expect(flag).toMatchObject({ code: 2, err: 'error: SDGEN_GRID must be 1 or 0; perhaps is not\n' });
  });

  it('takes defaults from the model, below flags', async () => {
    const engine = createFakeEngine({ metadata: { 'sdgen.default_width': '64', 'sdgen.default_steps': '9' } });
    const argv = ['txt2img', '-p', 'x', '-m', 'one', '--height', '16', '--steps', '3', '--dry-run', '--json'];
    const { plan } = JSON.parse((await box.run(argv, { addon: engine.addon })).out);
    expect(plan).toMatchObject({ width: 64, height: 16, steps: 3 });
  });

  it('shows a bar on a terminal and takes it away', async () => {
    const { err, code } = await box.run(base, { addon: createFakeEngine().addon, stderrIsTTY: true });
    expect(code).toBe(0);
    expect(err).toContain('sampling [');
    expect(err).toContain('it/s');
    const plain = await box.run(base, { addon: createFakeEngine().addon, stderrIsTTY: true, env: { NO_COLOR: '1' } });
    expect(plain.err).toContain('#');
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('stops within one step on %s, leaves no file and exits %i', async (signal, exitCode) => {
    const signals = new EventEmitter();
    let last = 0;
    const engine = createFakeEngine({
      onStep: (step) => {
        last = step;
        if (step === 3) signals.emit(signal);
      },
    });
    const { code, out, err } = await box.run([...base, '--steps', '20'], { addon: engine.addon, signals });
    expect({ code, out, last }).toEqual({ code: exitCode, out: '', last: 3 });
    expect(err).toContain('interrupted: nothing was written\n');
    expect(await readdir(box.folder)).not.toContain('outputs');
    expect(engine.closes).toBe(1);
    expect(signals.listenerCount(signal)).toBe(0);
  });

  it('gives equal bytes with and without CI in the environment', async () => {
    const { addon } = createFakeEngine();
    const hash = async (env: Record<string, string>) =>
      JSON.parse((await box.run([...base, '--json'], { addon, env })).out).files[0].fileSha256;
    expect(await hash({ CI: 'true' })).toBe(await hash({}));
  });
});

describe('what stands in the way of a picture', () => {
  it('says how to get a model when there is none of that name', async () => {
    await rm(box.path('models/one.safetensors'));
    const { code, err } = await box.run(['txt2img', '-p', 'x', '-m', 'one'], { addon: createFakeEngine().addon });
    expect(code).toBe(1);
    expect(err).toContain('node scripts/make-tiny-model.mjs --arch micro1 models/micro1.safetensors');
    expect(err.trimEnd()).not.toContain('\n');
  });

  it('refuses a size that does not fit, before any load', async () => {
    const engine = createFakeEngine({ peakBytes: 1e18 });
    const { code, err } = await box.run(base, { addon: engine.addon });
    expect(code).toBe(1);
    expect(err).toMatch(/error: this needs 1000\.0 PB of memory and .* is available, too little for any size/);
    expect(engine.loads).toBe(0);
  });

  it.each([
    ['a folder that is a file', 'models/one.safetensors/x.png', 'is not a folder'],
    ['a system folder', '/proc/sdgen/x.png', 'cannot write into /proc'],
    ['another format', 'x.gif', 'must end in .png, .jpg, .webp or .avif'],
    ['another file', 'models/one.safetensors', 'is a file of another kind'],
  ])('refuses %s as output', async (_, output, message) => {
    const engine = createFakeEngine();
    const { code, err } = await box.run([...base, '--output', output], { addon: engine.addon });
    expect(code).toBeGreaterThan(0);
    expect(err).toContain(message);
    expect(engine.loads).toBe(0);
  });

  it('passes on what the engine says, with its stack only on --debug', async () => {
    const { addon } = createFakeEngine({ fail: { at: 'decode', code: 'E_NON_FINITE' } });
    const { code, err } = await box.run([...base, '-q'], { addon });
    expect({ code, err }).toEqual({ code: 1, err: 'error: decode failed on purpose\n' });
    const debug = await box.run([...base, '-q', '--debug'], { addon });
    expect(debug.err).toMatch(/caused by NativeError/);
    expect(await readdir(box.folder)).not.toContain('outputs');
  });

  it('keeps a folder that is in the way of a forced file', async () => {
    await mkdir(box.path('x.png'));
    const { code, out } = await box.run([...base, '--output', 'x.png'], { addon: createFakeEngine().addon });
    expect({ code, out }).toEqual({ code: 0, out: 'x.png/00001-7.png\n' });
  });
});
