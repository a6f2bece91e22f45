import { writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CliSandbox } from '../../support/cli.js';
import { createFakeEngine } from '../../support/fake-native.js';

let box: CliSandbox;
beforeAll(async () => {
  box = await CliSandbox.create({ 'one.safetensors': 'weights' });
  await writeFile(box.path('styles.csv'), 'name,prompt,negative_prompt\nOil,"oil painting, {prompt}",photo\n');
  await writeFile(box.path('more.csv'), 'name,prompt\nInk,ink\n');
});
afterAll(() => box.remove());

describe('explain', () => {
  it('says how a prompt is read', async () => {
    const prompt = 'a [cat:dog:0.5] # a comment\n AND (unphotogenic:1.25):0.5';
    const { code, out, err } = await box.run(['explain', prompt, '--steps', '8', '--style', 'Oil']);
    expect([code, err]).toEqual([0, '']);
    expect(out).toBe(`prompt    oil painting, a [cat:dog:0.5] ↵ AND (unphotogenic:1.25):0.5
steps     8 of DPM++ 2M
emphasis  Original

part 1 of 2, weight 1
steps 1-5 of 8  oil painting, a cat
steps 6-8 of 8  oil painting, a dog

"oil painting, a cat": 5 tokens in 1 chunk
chunk 1: 5 of 75 tokens
     id  weight  token
1  2870       1  oil
2  3086       1  painting
3   267       1  ,
4   320       1  a
5  2368       1  cat

"oil painting, a dog": 5 tokens in 1 chunk
chunk 1: 5 of 75 tokens
     id  weight  token
1  2870       1  oil
2  3086       1  painting
3   267       1  ,
4   320       1  a
5  1929       1  dog

part 2 of 2, weight 0.5

" (unphotogenic:1.25)": 2 tokens in 1 chunk
chunk 1: 2 of 75 tokens
      id  weight  token
1    569    1.25  un…
2  36108    1.25  photogenic

words that the vocabulary does not have whole:
  unphotogenic  un | photogenic
`);
  });

  it('counts evaluations for samplers of two a step, and reads as the flags say', async () => {
    const run = async (...argv: string[]) => JSON.parse((await box.run(['explain', ...argv, '--json'])).out);
    const heun = await run('[a:b:0.5]', '--steps', '4', '--sampler', 'heun');
    expect(heun).toMatchObject({ sampler: 'Heun', unit: 'evaluation', count: 8, steps: 4 });
    expect(heun.parts[0].stages).toEqual([
      { first: 1, last: 5, text: 0 },
      { first: 6, last: 8, text: 1 },
    ]);
    const negative = await run('x # y', '--negative', '--style', 'Oil', '--comments', 'off');
    expect(negative.prompt).toBe('x # y, photo');
    const literal = await run('(a:2)', '--emphasis', 'None');
    expect(literal.parts[0].texts[0].tokenCount).toBe(5);
    const several = await run(
      'a',
      '--style',
      'Oil',
      '--style',
      'Ink',
      '--styles-file',
      'styles.csv',
      '--styles-file',
      'more.csv',
    );
    expect(several.prompt).toBe('oil painting, a, ink');
    expect((await run('[a:b:1.5]', '--old-schedules')).parts[0].stages).toHaveLength(2);
  });

  it("takes a model's chunk length", async () => {
    const text = {
      width: 2,
      layers: 12,
      heads: { value: 4, origin: 'default' },
      vocabulary: 49408,
      positions: 9,
      hasClipSkip: true,
      tokenizer: 'clip',
    } as const;
    const { addon } = createFakeEngine({ description: { text } });
    const { out } = await box.run(['explain', 'a b c d e f g h', '-m', 'one', '--json'], { addon });
    const { chunkTokens, parts } = JSON.parse(out);
    expect([chunkTokens, parts[0].texts[0].chunks.length]).toEqual([7, 2]);
  });

  it("takes a model's tokenizer: OpenCLIP's unescapes HTML, CLIP's does not", async () => {
    const text = {
      width: 2,
      layers: 12,
      heads: { value: 4, origin: 'default' },
      vocabulary: 49408,
      positions: 77,
    } as const;
    const ids = async (tokenizer: 'clip' | 'open_clip') => {
      const { addon } = createFakeEngine({ description: { text: { ...text, hasClipSkip: true, tokenizer } } });
      const { out } = await box.run(['explain', 'salt &amp; pepper', '-m', 'one', '--json'], { addon });
      return JSON.parse(out).parts[0].texts[0].tokenCount as number;
    };
    expect(await ids('open_clip')).toBe(3);
    expect(await ids('clip')).toBeGreaterThan(3);
  });

  it.each([
    [['explain'], "missing required argument 'prompt'"],
    [['explain', '(a:1.2.3)'], 'the weight "1.2.3" at column 4 of the prompt is not a usable number'],
    [['explain', 'a', '--style', 'Oill'], 'unknown style Oill; did you mean Oil?'],
    [['explain', 'a', '--emphasis', 'loud'], '--emphasis must be one of None, Ignore, Original, No norm; loud is not'],
    [['explain', 'a', '--comments', 'maybe'], '--comments must be true or false; maybe is not'],
    [['explain', '<lora:x:1>'], 'is not built yet'],
    [['explain', 'a', '--steps', '0'], '--steps must be a whole number from 1 to 1000; 0 is not'],
  ])('refuses %j', async (argv, message) => {
    const { code, err } = await box.run(argv);
    expect([code, err.split('\n').length]).toEqual([2, 2]);
    expect(err).toContain(message);
  });
});

describe('txt2img', () => {
  const base = [
    'txt2img',
    '-m',
    'one',
    '--width',
    '16',
    '--height',
    '16',
    '--steps',
    '2',
    '--seed',
    '7',
    '--json',
    '-q',
  ];
  const parameters = async (...argv: string[]) => {
    const { out, err } = await box.run([...base, '--force', ...argv], { addon: createFakeEngine().addon });
    if (out === '') throw new Error(err);
    return JSON.parse(out).files[0].parameters as string;
  };

  it('writes prompts with their styles and without comments, and the modes that count', async () => {
    const styled = await parameters('-p', 'a fox # red', '-n', 'blur', '--style', 'Oil');
    expect(styled).toMatch(/^oil painting, a fox \nNegative prompt: blur, photo\nSteps: 2, /);
    expect(styled).not.toContain('Emphasis');
    expect(await parameters('-p', 'a fox', '--emphasis', 'Ignore')).not.toContain('Emphasis');
    expect(await parameters('-p', 'a (fox)', '--emphasis', 'No norm')).toContain(', Emphasis: No norm, ');
    const old = await parameters('-p', '[a:b:1.5]', '--old-schedules');
    expect(old).toMatch(/^\[a:b:1\.5\]\n.*, Old prompt editing timelines: True, /);
    expect(await parameters('-p', '[a:b:0.5]', '--old-schedules')).not.toContain('Old prompt');
  });

  it('takes the modes over from a picture', async () => {
    await parameters('-p', '[a:(b):1.5]', '--old-schedules', '--emphasis', 'Ignore', '--output', 'from.png');
    const again = await parameters('--from', 'from.png', '--output', 'again.png');
    expect(again).toContain('Emphasis: Ignore, Old prompt editing timelines: True');
  });
});
