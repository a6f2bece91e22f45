import { copyFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CliSandbox } from '../support/cli.js';
import { evaluate, fixturePath } from '../support/eval.js';
import { readSafetensors } from '../support/safetensors.js';
import { tinyModelPath } from '../support/tiny-model.js';

const FIXTURE = fixturePath('micro1_model.safetensors');
const SAMPLERS = fixturePath('k_diffusion_samplers.safetensors');

let box: CliSandbox;
beforeAll(async () => {
  box = await CliSandbox.create();
  await copyFile(await tinyModelPath('micro1'), box.path('models/micro1.safetensors'));
});
afterAll(() => box.remove());

const run = (command: string, ...argv: string[]) => box.run(['debug', command, ...argv]);

/** The addon and the tool that needs no Node are one implementation: the same tensors. */
describe('debug eval', () => {
  it.each(['text', 'unet', 'vae-decode', 'vae-encode'])('gives what sdgen-eval gives for %s', async (part) => {
    const outcome = await run('eval', '-m', 'micro1', '--part', part, '--inputs', FIXTURE, '-o', 'out.safetensors');
    expect(outcome).toMatchObject({ code: 0, out: '', err: '' });
    const expected = evaluate(part, FIXTURE, ['--model', box.path('models/micro1.safetensors')]);
    const actual = readSafetensors(box.path('out.safetensors'));
    expect(actual.tensors.size).toBeGreaterThan(0);
    expect([...actual.tensors]).toEqual([...expected.tensors]);
  });

  it('gives inner activations when asked', async () => {
    const argv = ['-m', 'micro1', '--part', 'unet', '--inputs', FIXTURE, '-o', 'inner.safetensors', '--inner'];
    expect((await run('eval', ...argv, '--device', 'cpu')).code).toBe(0);
    expect(readSafetensors(box.path('inner.safetensors')).tensors.has('unet.mid.middle_block')).toBe(true);
  });

  it('runs a sampler over the documented denoiser, by its name', async () => {
    const argv = ['--part', 'sampler', '--sampler', 'Euler a', '--schedule', 'karras', '--inputs', SAMPLERS];
    expect(await run('eval', ...argv, '-o', 'sampler.safetensors')).toMatchObject({ code: 0, err: '' });
    const { get } = readSafetensors(box.path('sampler.safetensors'));
    const expected = evaluate('sampler', SAMPLERS, ['--sampler', 'euler_ancestral', '--schedule', 'karras']);
    expect(get('traj.karras.euler_ancestral')).toEqual(expected.get('traj.karras.euler_ancestral'));
  });

  it.each([
    [['-m', 'micro1', '--inputs', FIXTURE, '-o', 'x'], '--part is missing: one of text, unet'],
    [['-m', 'micro1', '--part', 'lungs', '--inputs', FIXTURE, '-o', 'x'], '--part must be one of text, unet'],
    [['-m', 'micro1', '--part', 'unet', '-o', 'x'], '--inputs is missing'],
    [['-m', 'micro1', '--part', 'unet', '--inputs', FIXTURE], '--output is missing'],
    [['--part', 'unet', '--inputs', FIXTURE, '-o', 'x'], '--model is missing'],
    [['-m', 'micro1', '--part', 'text', '--inputs', SAMPLERS, '-o', 'x'], "no tensor 'text.ids'"],
    [['--part', 'sampler', '--inputs', SAMPLERS, '-o', 'x'], '--sampler is missing'],
    [['--part', 'sampler', '--sampler', 'Euler', '--inputs', SAMPLERS, '-o', 'x'], '--schedule is missing'],
    [['-m', 'micro1', '--part', 'unet', '--inputs', FIXTURE, '-o', 'x', '--device', 'cuda'], 'cuda is known, but not'],
  ])('refuses %j', async (argv, message) => {
    const { code, err } = await run('eval', ...argv);
    expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining(message) });
    expect(err.trim().split('\n')).toHaveLength(1);
  });

  it('says what is wrong with a file', async () => {
    const { code, err } = await run('eval', '-m', 'micro1', '--part', 'unet', '--inputs', 'none', '-o', 'x');
    expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining('none') });
  });
});

describe('debug compare', () => {
  it('finds the same bytes on reference and cpu', async () => {
    const { code, out, err } = await run('compare', '-m', 'micro1');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(
      /^unet, reference fp32 against cpu fp32: all ops have the same bytes\n\d{3} ops compared, \d{3} /,
    );
  });

  it('names the first op that differs, and every op as JSON', async () => {
    // The same device at the same precision would not differ; a fast mode does, at tolerance 0.
    const fast = ['-m', 'micro1', '--precision', 'bf16', '--part', 'text', '--inputs', FIXTURE];
    const { code, out, err } = await run('compare', ...fast, '--tolerance', '0');
    if (err.includes('needs a processor')) return;
    expect(code).toBe(1);
    expect(out).toMatch(/op \d+ differs first, \w+ of text\./);
    const json = await run('compare', ...fast, '--json');
    expect(json.code).toBe(0);
    const { ops, tolerance } = JSON.parse(json.out);
    expect(tolerance).toBe(0.02);
    expect(ops.length).toBeGreaterThan(10);
    for (const { op, error, shape, differs } of ops) {
      expect(op).toMatch(/^\w+$/);
      expect(shape).toMatch(/^\[/);
      expect(error).toBeLessThan(0.02);
      expect(differs).toBe(false);
    }
  });

  it.each([
    [['--devices', 'cpu'], '--devices must be two devices joined by a comma'],
    [['--devices', 'cpu,abacus'], 'abacus'],
    [['--part', 'sampler'], '--part must be one of text'],
    [['--tolerance', '-1'], '--tolerance must be a number of at least 0'],
  ])('refuses %j', async (argv, message) => {
    const { code, err } = await run('compare', '-m', 'micro1', ...argv);
    expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining(message) });
  });
});
