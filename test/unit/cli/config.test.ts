import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CliSandbox } from '../../support/cli.js';
import { createFakeEngine } from '../../support/fake-native.js';

let box: CliSandbox;
let file: string;
beforeEach(async () => {
  box = await CliSandbox.create({ 'one.safetensors': 'weights' });
  file = box.path('home/.config/sdgen/config.json');
});
afterEach(() => box.remove());

async function write(text: string, path = file): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
}
const run = (...argv: string[]) => box.run(['config', ...argv]);
const plan = async (argv: string[], env: Record<string, string> = {}) => {
  const { addon } = createFakeEngine();
  const base = ['txt2img', '-p', 'x', '--width', '16', '--height', '16', '--dry-run', '--json'];
  const { out, err } = await box.run([...base, ...argv], { addon, env });
  return err === '' ? JSON.parse(out).plan : err;
};

describe('settings', () => {
  it('count less than the environment and flags, and more than defaults', async () => {
    await write('{ "model": "one", "steps": 9, "cfg-scale": 3, "sampler": "Euler a" }');
    expect(await plan(['--steps', '3'], { SDGEN_CFG_SCALE: '4' })).toMatchObject({
      steps: 3,
      cfgScale: 4,
      sampler: { name: 'Euler a' },
      clipSkip: 1,
    });
    expect(await plan([])).toMatchObject({ steps: 9, cfgScale: 3 });
  });

  it('lie where SDGEN_CONFIG says, else in XDG_CONFIG_HOME, else in ~/.config', async () => {
    await write('{ "model": "one", "steps": 5 }');
    await write('{ "model": "one", "steps": 6 }', box.path('xdg/sdgen/config.json'));
    await write('{ "model": "one", "steps": 7 }', box.path('own.json'));
    const xdg = { XDG_CONFIG_HOME: box.path('xdg') };
    expect((await plan([])).steps).toBe(5);
    expect((await plan([], xdg)).steps).toBe(6);
    expect((await plan([], { ...xdg, SDGEN_CONFIG: box.path('own.json') })).steps).toBe(7);
    expect((await box.run(['config', 'path'], { env: xdg })).out).toBe(`${box.path('xdg/sdgen/config.json')}\n`);
  });

  it('give way to the format that a file name asks for', async () => {
    await write('{ "model": "one", "format": "webp", "quiet": true }');
    const argv = ['txt2img', '-p', 'x', '--width', '16', '--height', '16', '--steps', '1'];
    const { addon } = createFakeEngine();
    expect(await box.run([...argv, '--output', 'x.png'], { addon })).toMatchObject({
      code: 0,
      out: 'x.png\n',
      err: '',
    });
    expect((await box.run([...argv, '--seed', '1'], { addon })).out).toBe('outputs/00001-1.webp\n');
  });

  it.each([
    ['{ "steps": 0 }', 'steps must be a whole number from 1 to 1000; 0 is not'],
    ['{ "steps": "9" }', 'steps must be a whole number from 1 to 1000; 9 is not'],
    ['{ "steps": true }', 'steps must be a value as the flag takes it; true is not'],
    ['{ "quiet": "yes" }', 'quiet must be true or false; yes is not'],
    ['{ "sampler": 3 }', "sampler must be a sampler's name; 3 is not"],
    ['{ "threads": 0 }', 'threads must be a whole number from 1 to 1024; 0 is not'],
    ['{ "cfg-scael": 9 }', 'cfg-scael is not a setting; did you mean cfg-scale?'],
    ['{ "prompt": "x" }', 'prompt is not a setting'],
    ['{ "__proto__": 1 }', '__proto__ is not a setting'],
    ['[1]', 'settings are one JSON object of names and values, not a list'],
    ['{ "steps": }', 'not JSON: Unexpected token'],
  ])('refuse %s, naming the file', async (text, message) => {
    await write(text);
    const { addon } = createFakeEngine();
    const { code, err } = await box.run(['txt2img', '-p', 'x', '-m', 'one', '--dry-run'], { addon });
    expect(code).toBe(2);
    expect(err).toContain(`error: ${file}: ${message}`);
    expect(err.trimEnd()).not.toContain('\n');
  });

  it('are none where there is no file, or an empty one', async () => {
    expect((await run()).code).toBe(0);
    await write(' \n');
    expect((await run()).code).toBe(0);
    await mkdir(box.path('folder'));
    const { code, err } = await box.run(['config'], { env: { SDGEN_CONFIG: box.path('folder') } });
    expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining('error: cannot read ') });
  });
});

describe('config', () => {
  it('lists what is in force, and where it comes from', async () => {
    await write('{ "steps": 9, "models-dir": ["/a", "/b"] }');
    const argv = ['config', '--show-origin', '--cfg-scale', '4'];
    const { code, out, err } = await box.run(argv, { env: { SDGEN_SEED: '5', SDGEN_GRID: '1' } });
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const lines = out.split('\n').map((line) => line.replace(/ {2,}/, ' | '));
    for (const line of [
      'flag --cfg-scale | cfg-scale=4',
      'environment SDGEN_SEED | seed=5',
      'environment SDGEN_GRID | grid=true',
      `file ${file} | steps=9`,
      `file ${file} | models-dir=/a:/b`,
      'default | sampler=DPM++ 2M',
      'default | output=outputs/',
    ]) {
      expect(lines).toContain(line);
    }
    expect(out).not.toContain('model=');
    expect((await box.run(['config', 'list'], { env: { SDGEN_STEPS: '0' } })).err).toContain('SDGEN_STEPS must be a');
    expect((await run('list')).out.split('\n')).toContain('steps=9');
    // Called as its flag, whatever its field is called.
    expect((await box.run(['config', 'get', 'ensd'], { env: { SDGEN_ENSD: '31337' } })).out).toBe('31337\n');
    const { settings, file: place } = JSON.parse((await run('list', '--json')).out);
    expect(settings.steps).toEqual({ value: 9, origin: 'file' });
    expect(settings.height).toEqual({ value: 512, origin: 'default' });
    expect(place).toBe(file);
  });

  it('sets, gets and unsets as git does', async () => {
    expect(await run('get', 'model')).toEqual(expect.objectContaining({ code: 1, out: '', err: '' }));
    for (const [name, value] of [
      ['model', 'one'],
      ['cfg-scale', '5.5'],
      ['quiet', 'yes'],
      ['sampler', 'euler a'],
    ] as const) {
      expect(await run('set', name, value)).toMatchObject({ code: 0, out: '', err: '' });
    }
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({
      model: 'one',
      'cfg-scale': 5.5,
      quiet: true,
      sampler: 'euler a',
    });
    expect((await run('get', 'cfg-scale')).out).toBe('5.5\n');
    expect((await box.run(['config', 'get', 'cfg-scale'], { env: { SDGEN_CFG_SCALE: '2' } })).out).toBe('2\n');
    expect(await run('unset', 'cfg-scale')).toMatchObject({ code: 0, out: '' });
    expect((await run('get', 'cfg-scale')).out).toBe('7\n');
    expect(await run('unset', 'cfg-scale')).toMatchObject({
      code: 2,
      err: `error: ${file} has no setting "cfg-scale"\n`,
    });
  });

  it.each([
    [['set', 'steps', 'many'], 'steps must be a whole number from 1 to 1000; many is not'],
    [['set', 'quiet', 'perhaps'], 'quiet must be 1 or 0; perhaps is not'],
    [['set', 'samplr', 'x'], 'samplr is not a setting; did you mean sampler?'],
    [['set', 'sampler', 'Oiler'], 'unknown sampler "Oiler"'],
    [['set', 'scheduler', 'Caras'], 'unknown scheduler "Caras"'],
    [['get', 'zzz'], 'zzz is not a setting; see sdgen config list'],
    [['nonsense'], 'too many arguments'],
  ])('refuses %j and writes nothing', async (argv, message) => {
    const { code, err, out } = await run(...argv);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain(message);
    await expect(readFile(file)).rejects.toThrow('ENOENT');
  });

  it('mends a file that holds something wrong, and keeps one that it cannot read', async () => {
    await write('{ "stpes": 3, "steps": 4 }');
    expect((await run('list')).code).toBe(2);
    expect((await run('unset', 'stpes')).code).toBe(0);
    expect((await run('get', 'steps')).out).toBe('4\n');
    await write('{ "steps": 4');
    expect((await run('set', 'steps', '5')).code).toBe(2);
    expect(await readFile(file, 'utf8')).toBe('{ "steps": 4');
  });

  it('says when there is no place for settings', async () => {
    const { code, err } = await box.run(['config', 'set', 'steps', '3'], { env: { HOME: '' } });
    expect({ code, err }).toEqual({
      code: 1,
      err: 'error: there is no place for settings: set HOME or SDGEN_CONFIG\n',
    });
  });
});
