import { EventEmitter } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodePng } from '../../../src/image/codec.js';
import type { OpenOptions } from '../../../src/native/types.js';
import { CliSandbox } from '../../support/cli.js';
import { createFakeEngine } from '../../support/fake-native.js';

let box: CliSandbox;
beforeAll(async () => {
  box = await CliSandbox.create({ 'one.safetensors': 'weights', 'old.ckpt': 'pickle' });
});
afterAll(() => box.remove());

const TEXT =
  'a fox\nNegative prompt: blur\nSteps: 2, Sampler: Euler, CFG scale: 7.0, Seed: 5, Size: 8x8, Version: sdgen 0.1.0';

describe('info', () => {
  it('prints what a picture says of itself', async () => {
    const texts = [
      { keyword: 'parameters', text: TEXT },
      { keyword: 'Comment', text: 'with \u001b[31m colour' },
    ];
    await writeFile(box.path('a.png'), await encodePng(new Uint8Array(192), 8, 8, texts));
    const { code, out } = await box.run(['info', 'a.png']);
    expect(code).toBe(0);
    expect(out).toMatch(/^a\.png: png, 8x8, \d+ bytes\n/);
    expect(out).toContain(TEXT);
    expect(out).not.toContain('\u001b');
    const facts = JSON.parse((await box.run(['info', 'a.png', '--json'])).out);
    expect(facts).toMatchObject({ width: 8, height: 8, prompt: 'a fox', negativePrompt: 'blur' });
    expect(facts.parameters).toMatchObject({ Steps: '2', Seed: '5', 'Size-1': '8' });
  });

  it('says when there is nothing', async () => {
    await writeFile(box.path('b.png'), await encodePng(new Uint8Array(192), 8, 8));
    expect((await box.run(['info', 'b.png'])).out).toContain('It carries no parameters.');
    expect(JSON.parse((await box.run(['info', 'b.png', '--json'])).out)).toMatchObject({
      infotext: null,
      prompt: null,
    });
  });

  it.each([
    ['nothing.png', 'no such file'],
    ['models', 'it is a folder'],
    ['models/one.safetensors', 'not an image'],
  ])('refuses %s', async (path, message) => {
    const { code, err, out } = await box.run(['info', path]);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toContain(message);
  });
});

describe('models', () => {
  it('lists the models folders', async () => {
    const { out, code } = await box.run(['models', 'list']);
    expect(code).toBe(0);
    expect(out.split('\n')[0]).toMatch(/^name +kind +size +path$/);
    expect(out).toContain(box.path('models/one.safetensors'));
    expect(out).toContain('convert it to .safetensors');
    const { models, folders } = JSON.parse((await box.run(['models', 'list', '--json'])).out);
    expect(models.map((model: { name: string }) => model.name).sort()).toEqual(['old', 'one', 'pocket']);
    expect(folders).toHaveLength(2);
  });

  it('lists the one that comes along where there is no other, and what it is', async () => {
    const { code, out, err } = await box.run(['models', 'list', '--models-dir', 'nowhere']);
    expect(code).toBe(0);
    expect(out.trim().split('\n')).toHaveLength(2);
    expect(out).toMatch(/^pocket +model +\d+\.\d MB/m);
    expect(err).toContain('pocket comes with sdgen');
  });

  it('says what is in one', async () => {
    const { addon, ...engine } = createFakeEngine({ metadata: { 'modelspec.title': 'a\u001b[2Jb' } });
    const { out, code } = await box.run(['models', 'inspect', 'one', '--prediction-type', 'v_prediction'], { addon });
    expect(code).toBe(0);
    expect(out).toContain('prediction  v_prediction (flag)');
    expect(out).toContain('heads 4 (metadata)');
    expect(out).toContain('old.name → new.name');
    expect(out).toContain('model_ema.decay');
    expect(out).not.toContain('\u001b');
    const facts = JSON.parse((await box.run(['models', 'inspect', 'one', '--json'], { addon })).out);
    expect(facts).toMatchObject({ name: 'one', family: 'sd1', tensorCount: 3 });
    expect(facts.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(engine.loads).toBe(0);
  });

  it('passes on why one cannot be used', async () => {
    const { addon } = createFakeEngine({ fail: { at: 'open', code: 'E_MODEL_FORMAT' } });
    const { code, err } = await box.run(['models', 'inspect', 'one'], { addon });
    expect({ code, err }).toEqual({ code: 1, err: 'error: open failed on purpose\n' });
  });
});

describe('doctor', () => {
  it('finds nothing wrong here', async () => {
    const { code, out } = await box.run(['doctor'], { addon: createFakeEngine().addon });
    expect(out).not.toContain('FAULT');
    expect(code).toBe(0);
    expect(out).toMatch(/^sdgen +ok +0\.1\.0\nnode +ok +v/);
    expect(out).toMatch(/device +ok +reference: portable, fp32; fake; what auto takes, in fp32/);
  });

  it('finds an engine without the samplers of the table, and folders that are files', async () => {
    const { addon } = createFakeEngine({ capabilities: { samplers: ['euler'] } });
    await writeFile(box.path('file'), '');
    const { code, out } = await box.run(['doctor', '--json', '--models-dir', 'file'], {
      addon,
      env: { XDG_CACHE_HOME: box.path('file') },
    });
    expect(code).toBe(1);
    const { ok, checks } = JSON.parse(out);
    expect(ok).toBe(false);
    const faults = checks.filter((check: { status: string }) => check.status === 'fault');
    expect(faults.map((check: { name: string }) => check.name)).toEqual(['engine', 'models', 'cache']);
    expect(faults[0].detail).toContain('dpmpp_2m');
  });
});

describe('a defect', () => {
  it('is told as one, in red on a terminal, with its place on --debug', async () => {
    const { addon } = createFakeEngine();
    const broken = {
      ...addon,
      capabilities: (): never => {
        throw new TypeError('x is\nundefined');
      },
    };
    const { code, err } = await box.run(['models', 'inspect', 'one'], { addon: broken, stderrIsTTY: true });
    expect(code).toBe(1);
    expect(err).toBe(
      '\u001b[31merror:\u001b[39m internal error: x is undefined; run again with --debug for its place\n',
    );
    const plain = { addon: broken, stderrIsTTY: true };
    for (const env of [{ NO_COLOR: '1' }, { TERM: 'dumb' }]) {
      expect((await box.run(['models', 'inspect', 'one'], { ...plain, env })).err).toMatch(/^error: internal error/);
    }
    expect((await box.run(['models', 'inspect', 'one'], { ...plain, env: { NO_COLOR: '' } })).err).toContain('\u001b');
    const debug = await box.run(['models', 'inspect', 'one', '--debug'], { addon: broken });
    expect(debug.err).toMatch(/TypeError: x is\nundefined\n +at /);
  });
});

describe('models inspect', () => {
  it('ends with 130 on Ctrl-C', async () => {
    const signals = new EventEmitter();
    const { addon } = createFakeEngine();
    const slow = {
      ...addon,
      openModel: (options: OpenOptions) => {
        signals.emit('SIGINT');
        return addon.openModel(options);
      },
    };
    const { code, out, err } = await box.run(['models', 'inspect', 'one'], { addon: slow, signals });
    expect({ code, out, err }).toEqual({ code: 130, out: '', err: 'interrupted\n' });
  });
});
