import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PEER_FLAGS } from '../../../src/cli/peer-flags.js';
import { CliSandbox } from '../../support/cli.js';
import { createFakeEngine } from '../../support/fake-native.js';

let box: CliSandbox;
beforeAll(async () => {
  box = await CliSandbox.create({ 'one.safetensors': 'weights', 'old.ckpt': 'pickle' });
});
afterAll(() => box.remove());

const base = ['txt2img', '-p', 'x', '-m', 'one'];

/** One line, the exit code of a usage error, nothing on stdout, and nothing loaded. */
async function refused(argv: readonly string[]): Promise<string> {
  const engine = createFakeEngine();
  const { code, out, err } = await box.run(argv, { addon: engine.addon });
  expect({ code, out, lines: err.trimEnd().split('\n').length }).toEqual({ code: 2, out: '', lines: 1 });
  expect(err).toMatch(/^error: .*\n$/);
  expect(engine.loads).toBe(0);
  return err.slice('error: '.length).trimEnd();
}

describe('usage errors', () => {
  const cases: [string[], string][] = [
    [[...base, '--width', '63'], '--width must be a multiple of 8 from 16 to 16384; 63 is not'],
    [[...base, '--width', '1000000'], '--width must be a multiple of 8 from 16 to 16384; 1000000 is not'],
    [[...base, '--height', '8'], '--height must be a multiple of 8 from 16 to 16384; 8 is not'],
    [[...base, '--steps', '0'], '--steps must be a whole number from 1 to 1000; 0 is not'],
    [[...base, '--steps', '1.5'], '--steps must be a whole number from 1 to 1000; 1.5 is not'],
    [[...base, '--cfg-scale', 'nan'], '--cfg-scale must be a number from 0 to 1000; nan is not'],
    [[...base, '--cfg-scale', 'Infinity'], '--cfg-scale must be a number from 0 to 1000; Infinity is not'],
    [
      [...base, '--seed', 'abc'],
      '--seed must be a whole number from 0 to 9007199254740991, or -1 for a random one; abc is not',
    ],
    [[...base, '--seed', '9007199254740993'], '; 9007199254740993 is not'],
    [[...base, '--seed', '-2'], '; -2 is not'],
    [[...base, '--seed', ''], '; "" is not'],
    [[...base, '--seed', '9007199254740991', '--count', '2'], 'seed must leave room for 2 pictures'],
    [[...base, '--count', '0'], '--count must be a whole number from 1 to 10000; 0 is not'],
    [[...base, '--batch-size', '65'], '--batch-size must be a whole number from 1 to 64; 65 is not'],
    [[...base, '--clip-skip', '13'], '--clip-skip must be a whole number from 1 to 12; 13 is not'],
    [[...base, '--threads', '0'], '--threads must be a whole number from 1 to 1024; 0 is not'],
    [[...base, '--rng', 'nv'], '--rng must be one of gpu, cpu; nv is not'],
    [[...base, '--device', 'tpu'], 'device must be one of auto, reference, cpu, cuda; tpu is not'],
    [[...base, '--device', 'referense'], 'did you mean reference?'],
    [
      [...base, '--device', 'cuda'],
      'device cuda is known, but not built into this sdgen (`npm run build:cuda` makes a build that has it)',
    ],
    [[...base, '--precision', 'bf16'], 'precision bf16 is known, but not built for device reference; built: fp32'],
    [[...base, '--precision', 'int3'], 'precision must be one of auto, fp32, bf16, fp16; int3 is not'],
    [[...base, '--sampler', 'Eular a'], 'unknown sampler "Eular a"; did you mean Euler a or Euler?'],
    [[...base, '--sampler', 'ddim', '--steps', '1'], 'sampler "DDIM" needs at least 2 steps'],
    [[...base, '--sigmas', '1,2'], '--sigmas must be 2 to 1001 numbers above 0 that fall; the last may be 0'],
    [[...base, '--sigmas', '3,x'], '--sigmas must be 2 to 1001 numbers'],
    [[...base, '--sigma-min', '-1'], '--sigma-min must be a number of 0 or more'],
    [[...base, '--ensd', '0.5'], '--ensd must be a whole number; 0.5 is not'],
    [[...base, '--subseed-strength', '2'], '--subseed-strength must be a number from 0 to 1; 2 is not'],
    [[...base, '--seed-resize-from-width', '5'], '--seed-resize-from-width must be a whole number from 8 to 16384'],
    [[...base, '--seed-resize-from-width', '64'], 'a seed resize needs a width and a height'],
    [[...base, '--scheduler', 'karas'], 'unknown scheduler "karas"; did you mean Karras?'],
    [[...base, '--prediction-type', 'flow'], '--prediction-type must be epsilon or v_prediction; flow is not'],
    [[...base, '--stepz', '3'], "unknown option '--stepz'; did you mean --steps?"],
    [
      ['img2img', 'a.png', '-p', 'x', '--strength', '0.5'],
      "unknown option '--strength'; --denoising-strength is its name here; see sdgen --help",
    ],
    [[...base, '--guidance_scale=7.5'], "'--guidance_scale=7.5'; --cfg-scale is its name here"],
    [[...base, '--negative_prompt', 'x'], '--negative-prompt is its name here'],
    [[...base, '--batch-count', '2'], '--count is its name here'],
    [[...base, '-H', '512'], "unknown option '-H'; --height is its name here"],
    [[...base, '-W512'], "'-W512'; --width is its name here"],
    [[...base, '--init-img', 'a.png'], 'as in `sdgen img2img sketch.png`'],
    [['batch', 'a.jsonl', '--strength', '1'], "unknown option '--strength'; see sdgen --help"],
    [['models', 'list', '--ckpt-dir', 'm'], '--models-dir is its name here'],
    [[...base, '--constructor'], "unknown option '--constructor'; see sdgen --help"],
    [[...base, 'stray'], 'too many arguments'],
    [[...base, '--steps'], "option '--steps <n>' argument missing"],
    [['txt2imf'], "unknown command 'txt2imf'; did you mean txt2img?"],
    [['models', 'lisst'], "unknown command 'lisst'; did you mean list?"],
    [['info'], "missing required argument 'image'"],
    [['txt2img', '-m', 'one'], '--prompt is missing'],
    [['txt2img', '-p', 'a <lora:b:1>', '-m', 'one'], 'the extra network "<lora:b:1>" is not built yet'],
    [['txt2img', '-p', '<lora:x:1>', '-m', 'one'], 'the extra network'],
    [['txt2img', '-p', `((x:34${'0'.repeat(37)}))`, '-m', 'one'], 'multiply to more than a number can hold'],
    [['txt2img', '-p', 'x'.repeat(1_000_001), '-m', 'one'], '--prompt may have at most 1000000 characters'],
    [
      [...base, '--width', '16384', '--height', '16384', '--count', '4', '--grid'],
      'grid would be a sheet of 32768x32768',
    ],
    [[...base, '--output', 'a\0b'], '--output must not hold a NUL character'],
    [[...base, '--output', ''], '--output must be a file, a folder or -'],
  ];
  const shorten = (word: string): string =>
    word.length > 40 ? `${word.slice(0, 10)}… (${word.length})` : word || '""';

  for (const [argv, message] of cases) {
    it(argv.map(shorten).join(' '), async () => {
      expect(await refused(argv)).toContain(message);
    });
  }

  it('shows the help when no command is given, and fails', async () => {
    const { code, out, err } = await box.run([]);
    expect(code).toBe(2);
    expect(out).toContain('Usage: sdgen');
    expect(err).toBe('error: a command is needed; see sdgen --help\n');
  });
});

describe('a prompt of 10,000 words', () => {
  it('fails with its length and the limit', async () => {
    const argv = ['txt2img', '-p', 'word '.repeat(10_000), '-m', 'one'];
    const { code, err } = await box.run(argv, { addon: createFakeEngine().addon });
    expect(code).toBe(2);
    expect(err).toBe(
      'error: the prompt has 10000 tokens in 134 chunks of 75; the limit is 100 chunks (7500 tokens): shorten it\n',
    );
  });
});

describe('flags by the names that other programs give them', () => {
  it('stand for flags that there are, and are none themselves', async () => {
    const helps = await Promise.all(['txt2img', 'img2img', 'upscale'].map(async (name) => box.run([name, '--help'])));
    const flags = new Set(helps.flatMap(({ out }) => out.match(/(?<=^ {2}(-\w, )?)-[-\w]+/gm) ?? []));
    expect(Object.values(PEER_FLAGS).filter((flag) => !flags.has(flag))).toEqual([]);
    expect(Object.keys(PEER_FLAGS).filter((flag) => flags.has(flag))).toEqual([]);
  });
});

describe('models that cannot be found', () => {
  it.each([
    ['nothing', 'there is no model named nothing in'],
    ['onee', 'did you mean one?'],
    ['./nothing.safetensors', 'there is no such file'],
    ['./models', 'is not a file'],
  ])('%s', async (model, message) => {
    const { code, err } = await box.run(['txt2img', '-p', 'x', '-m', model], { addon: createFakeEngine().addon });
    expect(code).toBe(1);
    expect(err).toContain(message);
    expect(err.trimEnd()).not.toContain('\n');
  });
});

describe('--version and --help', () => {
  it('exit with 0', async () => {
    expect(await box.run(['--version'])).toMatchObject({ code: 0, out: '0.1.0\n', err: '' });
    expect((await box.run(['help', 'txt2img'])).out).toContain('--negative-prompt <text>');
    expect((await box.run(['txt2img', '--help'])).code).toBe(0);
  });
});
