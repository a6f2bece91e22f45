import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DeviceName } from '../../../src/native/types.js';
import { CliSandbox } from '../../support/cli.js';
import { createFakeEngine } from '../../support/fake-native.js';

let box: CliSandbox;
beforeAll(async () => {
  box = await CliSandbox.create({ 'fox.safetensors': 'x', 'fig.safetensors': 'y', 'fox.vae.safetensors': 'z' });
});
afterAll(() => box.remove());

const words = async (...line: string[]): Promise<string[]> => {
  const { code, out, err } = await box.run(['__complete', '--', ...line]);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return out.split('\n').filter(Boolean);
};
const names = async (...line: string[]): Promise<string[]> =>
  (await words(...line)).map((text) => text.split('\t')[0] ?? '');

describe('__complete', () => {
  it.each<[string[], string[]]>([
    [['tx'], ['txt2img']],
    [['models', 'l'], ['list']],
    [['txt2img', '--cfg'], ['--cfg-scale']],
    [
      ['txt2img', '--sampler', 'euler'],
      ['Euler a', 'Euler'],
    ],
    [
      ['txt2img', '-p', 'models', '--rng', ''],
      ['gpu', 'cpu'],
    ],
    [['txt2img', '--rng=g'], ['--rng=gpu']],
    [['txt2img', '--rng', '=', 'g'], ['gpu']],
    [
      ['txt2img', '--rng', '='],
      ['gpu', 'cpu'],
    ],
    [['txt2img', '--grid', '--format', 'j'], ['jpeg']],
    [
      ['txt2img', '-m', 'f'],
      ['fig', 'fox'],
    ],
    [
      ['txt2img', '--vae', ''],
      ['automatic', 'none', 'fox.vae'],
    ],
    [['models', 'inspect', '--device', 'cpu', 'fo'], ['fox']],
    [['config', 'get', 'cf'], ['cfg-scale']],
    [['completion', 'z'], ['zsh']],
    [['completion', 'zsh', ''], []],
    [['txt2img', '--prompt', ''], []],
    [['info', ''], []],
    [['nonsense', '--fl', '='], []],
    [[], []],
  ])('%j', async (line, expected) => {
    const found = await names(...line);
    if (line.length === 0) expect(found).toContain('txt2img');
    else expect(found).toEqual(expected);
  });

  it('names every card that there is, as doctor does', async () => {
    const addon = createFakeEngine({
      capabilities: {
        devices: ['reference', 'cpu', 'cuda', 'cuda:1'].map((name) => ({
          name: name as DeviceName,
          description: '',
          precisions: ['fp32'],
          isa: '',
          missing: '',
        })),
      },
    }).addon;
    const at = async (...line: string[]) => (await box.run(['__complete', '--', ...line], { addon })).out;
    expect(await at('txt2img', '--device', 'c')).toBe('cpu\ncuda\ncuda:1\n');
    expect(await at('txt2img', '--device', 'cuda:')).toBe('cuda:1\n');
    // As bash gives it.
    expect(await at('txt2img', '--device', 'cuda', ':')).toBe('1\n');
    expect(await at('txt2img', '--device', 'cuda', ':', '1', '--rng', 'g')).toBe('gpu\n');
    const capabilities = () => {
      throw new Error('the engine is broken');
    };
    const broken = { addon: { ...addon, capabilities } };
    const { out } = await box.run(['__complete', '--', 'txt2img', '--device', ''], broken);
    expect(out).toBe('auto\nreference\ncpu\ncuda\n');
  });

  it('tells what each word is, never itself, and no hidden flag', async () => {
    expect(await words('txt2img', '--gri')).toEqual(['--grid\talso write all pictures on one sheet']);
    expect(await names('')).not.toContain('__complete');
    expect(await names('config', 'list', '--s')).toEqual(['--show-origin']);
  });

  it('stays silent where models cannot be listed', async () => {
    const { code, out, err } = await box.run(['__complete', '--', 'txt2img', '-m', ''], {
      env: { SDGEN_CONFIG: box.path('models') },
    });
    expect({ code, out, err }).toEqual({ code: 0, out: '', err: '' });
  });
});

describe('completion', () => {
  it.each(['bash', 'zsh', 'fish'])('prints a script for %s that asks sdgen', async (shell) => {
    const { code, out } = await box.run(['completion', shell]);
    expect(code).toBe(0);
    expect(out).toContain(`${shell} completion of sdgen`);
    expect(out).toContain('sdgen __complete -- ');
    expect(out).not.toContain('\\${');
  });

  it('refuses another shell', async () => {
    const { code, err } = await box.run(['completion', 'tcsh']);
    expect(code).toBe(2);
    expect(err).toContain('Allowed choices are bash, zsh, fish');
  });
});
