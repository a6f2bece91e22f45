import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decodeRgb, encodePng } from '../../../src/image/codec.js';
import { CliSandbox } from '../../support/cli.js';
import { createFakeEngine, type FakeEngine } from '../../support/fake-native.js';

let box: CliSandbox;
let engine: FakeEngine;
beforeEach(async () => {
  box = await CliSandbox.create({ 'one.safetensors': 'weights' });
  engine = createFakeEngine();
});
afterEach(() => box.remove());

const FLAGS = ['-m', 'one', '--width', '16', '--height', '16', '--steps', '2', '-o', 'out'];

async function batch(text: string, { name = 'lines.jsonl', flags = [] as string[] } = {}) {
  await writeFile(box.path(name), text);
  return box.run(['batch', name, ...FLAGS, ...flags], { addon: engine.addon });
}

const documents = (out: string) =>
  out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
const prompts = (out: string) => documents(out).map(({ request }) => request.prompt);
const pictures = async () => (await readdir(box.path('out'))).filter((name) => name.endsWith('.png')).sort();

describe('batch', () => {
  it('makes the pictures of JSONL, CSV and YAML alike', async () => {
    const jsonl = await batch('{"prompt": "a fox", "seed": 7}\n\n{"prompt": "a cat", "seed": 8, "cfg_scale": 5}\n');
    expect(jsonl).toMatchObject({ code: 0, out: 'out/00001-7.png\nout/00002-8.png\n' });
    expect(jsonl.err).toContain('2 items: 2 made\n');
    const csv = await batch('\ufeffprompt,seed,CFG Scale\na fox,7,\n"a cat",8,5\n', { name: 'a.csv' });
    expect(csv).toMatchObject({ code: 0, out: 'out/00003-7.png\nout/00004-8.png\n' });
    const yaml = await batch('defaults: {cfgScale: 5}\nrequests:\n  - {prompt: a cat, seed: 8}\n', { name: 'a.yaml' });
    expect(yaml).toMatchObject({ code: 0, out: 'out/00005-8.png\n' });
    const [one, other] = await Promise.all(['00002-8.png', '00005-8.png'].map((n) => readFile(box.path('out', n))));
    expect(one?.equals(other ?? Buffer.alloc(0))).toBe(true);
  });

  it('reads quotes, line ends and short rows of CSV, and tells rows that are too long or lack a column', async () => {
    const rows =
      'prompt,seed,negative prompt\r\n"a fox, ""red"",\nat night",7\r\n"a cat",8,blurry,9\r\na dog,9,"x"\r\n';
    const { code, out, err } = await batch(`\ufeff${rows}`, { name: 'b.csv', flags: ['--json'] });
    expect(code).toBe(1);
    expect(err).toContain('error: b.csv:4: has 4 cells for 3 columns\n');
    const made = documents(out).filter(({ state }) => state === 'done');
    expect(made.map(({ line, request }) => [line, request.prompt, request.negativePrompt])).toEqual([
      [2, 'a fox, "red",\nat night', undefined],
      [5, 'a dog', 'x'],
    ]);
    const lacking = await batch('seed,steps\n7,2\n', { name: 'c.csv' });
    expect(lacking).toMatchObject({ code: 1, out: '', err: expect.stringMatching(/^error: c\.csv:2: .*prompt/) });
  });

  it('makes a picture of every combination, the last place changing fastest', async () => {
    await mkdir(box.path('wildcards'));
    await writeFile(box.path('wildcards', 'place.txt'), '# where\nat home\n\nat sea\n');
    const line = { prompt: 'a {red|blue} fox __place__', steps: '2-6 (+4)', seed: 3, count: 2 };
    const { code, out } = await batch(JSON.stringify(line), { flags: ['--json', '--all-wildcards'] });
    expect(code).toBe(0);
    expect(prompts(out)).toHaveLength(16);
    expect(
      documents(out)
        .map(({ request }) => [request.prompt, request.steps, request.seed])
        .slice(0, 6),
    ).toEqual([
      ['a red fox at home', 2, 3],
      ['a red fox at home', 2, 4],
      ['a red fox at sea', 2, 3],
      ['a red fox at sea', 2, 4],
      ['a blue fox at home', 2, 3],
      ['a blue fox at home', 2, 4],
    ]);
    const literal = await batch(JSON.stringify({ ...line, count: 1 }), { flags: ['--json', '--literal', '--dry-run'] });
    expect(new Set(prompts(literal.out))).toEqual(new Set(['a {red|blue} fox __place__']));
  });

  it('tells wrong lines by their numbers and makes the others', async () => {
    const text = '{"prompt": "a", "seed": 1}\nnonsense\n{"prompt": "b", "stepps": 3}\n{"prompt": "c", "steps": 0}\n';
    const { code, out, err } = await batch(text);
    expect({ code, out }).toEqual({ code: 1, out: 'out/00001-1.png\n' });
    expect(err).toMatch(/lines\.jsonl:2: .*JSON/);
    expect(err).toMatch(/lines\.jsonl:3: .*stepps.*did you mean steps/);
    expect(err).toMatch(/lines\.jsonl:4: .*steps must be a whole number from 1/);
    const strict = await batch(text, { flags: ['--strict'] });
    expect({ code: strict.code, out: strict.out }).toEqual({ code: 2, out: '' });
  });

  it('refuses files that it cannot take, each in a line', async () => {
    const refuse = async (text: string, name: string) => {
      const { code, err, out } = await batch(text, { name });
      expect(out).toBe('');
      expect(code).toBeGreaterThan(0);
      return err.split('\n')[0];
    };
    expect(await refuse('', 'empty.jsonl')).toMatch(/empty\.jsonl/);
    expect(await refuse('prompt\n"a', 'torn.csv')).toMatch(/torn\.csv/);
    expect(await refuse('a: &a [*a, *a]\nrequests: [*a]\n', 'loop.yaml')).toMatch(/loop\.yaml/);
    const bomb = 'a: &a [x,x,x,x,x,x,x,x,x]\n'.concat(
      ...'bcdefgh'.split('').map((n, i) => `${n}: &${n} [${Array(9).fill(`*${'abcdefgh'[i]}`).join(',')}]\n`),
      'requests: *h\n',
    );
    expect(await refuse(bomb, 'bomb.yaml')).toMatch(/bomb\.yaml/);
    const unknown = await box.run(['batch', 'x.txt', ...FLAGS], { addon: engine.addon });
    expect(unknown.code).toBe(2);
    expect(engine.loads).toBe(0);
  });

  it('goes on where it was, and makes again what is gone or changed', async () => {
    const lines = '{"prompt": "a {b|c|d}", "seed": 5}';
    expect((await batch(lines)).err).toContain('3 items: 3 made');
    const [first = '', second = ''] = await pictures();
    await rm(box.path('out', first));
    await writeFile(box.path('out', second), 'other');
    const again = await batch(lines, { flags: ['--resume'] });
    expect(again.err).toContain('3 items: 2 made, 1 there already');
    // What is another's now keeps its name.
    expect(await readFile(box.path('out', second), 'utf8')).toBe('other');
    expect((await batch(lines, { flags: ['--resume'] })).err).toContain('3 there already');
  });

  it('refuses to begin over a batch that was cut off', async () => {
    await batch('{"prompt": "a", "seed": 5}');
    const journal = box.path('out', 'batch.journal.jsonl');
    const records = (await readFile(journal, 'utf8')).trimEnd().split('\n');
    await writeFile(journal, `${records.slice(0, -2).join('\n')}\n{"type": "do`);
    const refused = await batch('{"prompt": "a", "seed": 5}');
    expect(refused).toMatchObject({ code: 1, out: '' });
    expect(refused.err).toContain('--resume goes on with it');
    expect((await batch('{"prompt": "a", "seed": 5}', { flags: ['--resume'] })).err).toContain('1 there already');
    await writeFile(journal, 'something else\n');
    expect((await batch('{"prompt": "a"}')).err).toMatch(/no record of a batch|not a journal/);
  });

  it('tells beforehand what it would make', async () => {
    const { code, out } = await batch('{"prompt": "a {b|c}", "seed": 5}', { flags: ['--dry-run'] });
    expect(code).toBe(0);
    expect(out).toMatch(/^#1 line 1: 16x16, 2 steps, seed 5, model one \(b\)/);
    expect(out).toMatch(/2 items/);
    expect(engine.loads).toBe(0);
    await expect(readdir(box.path('out'))).rejects.toThrow(/ENOENT/);
  });

  it('refuses an output that is no folder', async () => {
    await writeFile(box.path('lines.jsonl'), '{"prompt": "a"}');
    const { code, err } = await box.run(['batch', 'lines.jsonl', '-m', 'one', '-o', 'x.png'], { addon: engine.addon });
    expect({ code, err: err.split('\n')[0] }).toEqual({
      code: 2,
      err: 'error: --output of a batch is a folder; x.png is none',
    });
  });
});

describe('pictures from pictures in a batch', () => {
  it('begin with the files that lines name, each alone', async () => {
    const picture = (shade: number) => encodePng(new Uint8Array(3 * 16 * 16).fill(shade), 16, 16);
    engine = createFakeEngine({
      description: { vae: { channels: 32, channelMultipliers: [1, 2], hasEncoder: true } },
    });
    await writeFile(box.path('dark.png'), await picture(20));
    await writeFile(box.path('light.png'), await picture(220));
    const line = { image: ['dark.png', 'light.png'], prompt: 'a fox', seed: 4, denoising_strength: '0.5,1' };
    const { code, out, err } = await batch(JSON.stringify(line), { flags: ['--json'] });
    expect({ code, err: err.includes('error') }).toEqual({ code: 0, err: false });
    expect(documents(out).map(({ request }) => [request.image, request.denoisingStrength])).toEqual([
      ['dark.png', 0.5],
      ['dark.png', 1],
      ['light.png', 0.5],
      ['light.png', 1],
    ]);
    expect(documents(out)[0].files[0].parameters).toContain('Denoising strength: 0.5');
    expect((await batch(JSON.stringify(line), { flags: ['--resume'] })).err).toContain('4 there already');
    // Another picture under the same name is another plan.
    await writeFile(box.path('dark.png'), await picture(60));
    expect((await batch(JSON.stringify(line), { flags: ['--resume'] })).err).toContain('2 made, 2 there already');
  });

  it('tell what of a file is left out: on stderr with the line, in the document and in the journal', async () => {
    const { default: sharp } = await import('sharp');
    engine = createFakeEngine({
      description: { vae: { channels: 32, channelMultipliers: [1, 2], hasEncoder: true } },
    });
    const frames = await Promise.all([20, 90].map((shade) => encodePng(new Uint8Array(3 * 256).fill(shade), 16, 16)));
    await sharp(frames, { join: { animated: true } })
      .gif()
      .toFile(box.path('two.gif'));
    await writeFile(box.path('black.png'), await encodePng(new Uint8Array(3 * 256), 16, 16));
    const line = { image: 'two.gif', prompt: 'a {red|blue} fox', seed: 4 };
    const masked = { ...line, prompt: 'a fox', mask: 'black.png', inpaintArea: 'masked', maskBlur: 0 };
    const lines = [line, masked].map((one) => JSON.stringify(one)).join('\n');
    const dry = await batch(lines, { flags: ['--dry-run'] });
    const { code, out, err } = await batch(lines, { flags: ['--json'] });
    const frame = 'two.gif has 2 frames: the first is taken';
    const told = [
      `warning: lines.jsonl:1: ${frame}`,
      `warning: lines.jsonl:2: ${frame}`,
      expect.stringMatching(/^warning: lines.jsonl:2: the mask is black/),
    ];
    expect(code).toBe(0);
    for (const text of [dry.err, err]) expect(text.split('\n').filter((l) => l.startsWith('warning'))).toEqual(told);
    const notes = documents(out).map((document) => document.notes);
    expect(notes).toEqual([[frame], [frame], [frame, expect.stringContaining('the mask is black')]]);
    const journal = (await readFile(box.path('out/batch.journal.jsonl'), 'utf8')).trim().split('\n');
    const done = journal.map((record) => JSON.parse(record)).filter(({ type }) => type === 'done');
    expect(done.map((record) => record.notes)).toEqual(notes);
    expect((await batch(lines, { flags: ['--resume'] })).err).toContain('3 there already');
  });

  it('say which file is none, and what a line lacks', async () => {
    await writeFile(box.path('text.png'), 'words');
    const lines = ['{"image": "gone.png", "prompt": "a"}', '{"image": "text.png", "prompt": "a"}'];
    const { code, err } = await batch([...lines, '{"kind": "img2img", "prompt": "a"}'].join('\n'));
    expect(code).toBe(1);
    expect(err).toMatch(/lines\.jsonl:1: .*gone\.png/);
    expect(err).toMatch(/lines\.jsonl:2: text\.png is no image/);
    expect(err).toMatch(/lines\.jsonl:3: .*image/);
  });
});

describe('axes of a batch', () => {
  const line = '{"prompt": "a red fox", "seed": 5}';

  it('are drawn on a contact sheet, once', async () => {
    const flags = ['--x', 'Prompt S/R=red,blue,"dark, green"', '--y', 'Prompt S/R=fox,cat'];
    const { code, out } = await batch(line, { flags });
    expect(code).toBe(0);
    expect(out.trim().split('\n').at(-1)).toBe('out/sheet-0001.png');
    const { width, height } = await decodeRgb(await readFile(box.path('out/sheet-0001.png')), 1e6);
    // Three cells of 16 pixels with gaps of 4 beside a label of three letters; two rows under labels of up to three lines.
    expect(width).toBe(2 * 4 + 3 * 6 + 3 * (16 + 4));
    expect(height).toBe(4 + 3 * 8 + 4 + 2 * (16 + 4));
    const again = await batch(line, { flags: [...flags, '--resume'] });
    expect(again).toMatchObject({ code: 0, out: '' });
    await rm(box.path('out/sheet-0001.png'));
    expect((await batch(line, { flags: [...flags, '--resume'] })).out).toBe('out/sheet-0001.png\n');
  });

  it('leave a row empty where the one takes away what the other looks for', async () => {
    const flags = ['--x', 'Prompt S/R=red,blue', '--y', 'Prompt S/R=red fox,cat,red dog'];
    const { code, out, err } = await batch(line, { flags });
    expect(code).toBe(1);
    expect(err).toContain('Prompt S/R: red is in neither prompt');
    expect(err).not.toContain('internal error');
    expect(out.trim().split('\n').at(-1)).toBe('out/sheet-0001.png');
  });

  it('give a sheet for each value of z and each picture of count, or none', async () => {
    const three = '{"prompt": "a red fox", "seed": 5, "count": 2}';
    const flags = ['--x', 'steps=1-3', '--z', 'cfgScale=5,7'];
    const json = await batch(three, { flags: [...flags, '--json'] });
    expect(documents(json.out).flatMap(({ sheet }) => sheet ?? [])).toEqual(
      [1, 2, 3, 4].map((n) => `out/sheet-000${n}.png`),
    );
    const none = await batch(three, { flags: [...flags, '--no-sheet'] });
    expect(none.out).not.toContain('sheet');
  });

  it('are refused where they are over the same', async () => {
    const same = await batch(line, { flags: ['--x', 'steps=1,2', '--y', 'steps=3'] });
    expect(same.err).toContain('two axes are over steps');
    const texts = await batch(line, { flags: ['--x', 'Prompt S/R=red,blue', '--y', 'Prompt S/R=red,green'] });
    expect(texts.err).toContain('two axes are over Prompt S/R of red');
    const absent = await batch(line, { flags: ['--x', 'Prompt S/R=green,blue'] });
    expect(absent.err).toContain('Prompt S/R: green is in neither prompt');
  });

  it('take orders of words and sizes', async () => {
    const order = await batch(line, { flags: ['--x', 'Prompt order=red,fox', '--json', '--no-sheet'] });
    expect(prompts(order.out)).toEqual(['a red fox', 'a fox red']);
    const size = await batch(line, { flags: ['--x', 'Size=16x24,24x16', '--json', '--no-sheet'] });
    expect(documents(size.out).map(({ request }) => [request.width, request.height])).toEqual([
      [16, 24],
      [24, 16],
    ]);
    expect((await batch(line, { flags: ['--x', 'Size=big'] })).err).toContain('a size is written 512x768');
  });
});
