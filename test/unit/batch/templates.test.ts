import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { countTexts, onlyText, parseTemplate, type Resolution, textAt } from '../../../src/batch/templates.js';
import { Wildcards } from '../../../src/batch/wildcards.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sdgen-wildcards-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function wildcards(files: Record<string, string>): Promise<Wildcards> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, `${name}.txt`), text);
  }
  return new Wildcards(folder, '/');
}

async function textsOf(text: string, known: Wildcards, how: Partial<Resolution> = {}): Promise<string[]> {
  const template = parseTemplate(text, true);
  await known.read(template);
  const resolution = { entries: known, all: true, seed: 0, ...how };
  const count = countTexts(template, resolution);
  return Array.from({ length: count }, (_, i) => textAt(template, i, resolution).text);
}

describe('alternatives', () => {
  it.each([
    ['a {red|blue} {fox|cat}', ['a red fox', 'a red cat', 'a blue fox', 'a blue cat']],
    ['{a|{b|c} d}', ['a', 'b d', 'c d']],
    ['{a|}x', ['ax', 'x']],
    ['[{a|b}:c:0.5] (d:1.2)', ['[a:c:0.5] (d:1.2)', '[b:c:0.5] (d:1.2)']],
    ['{one}', ['{one}']],
    ['{one {a|b}}', ['{one a}', '{one b}']],
    ['\\{a|b\\} | {c\\|d|e}', ['{a|b} | c|d', '{a|b} | e']],
    ['{a|b', ['{a|b']],
    ['a}b|c', ['a}b|c']],
    ['[a|b] \\(c\\)', ['[a|b] \\(c\\)']],
    ['', ['']],
  ])('%s', async (text, expected) => {
    expect(await textsOf(text, await wildcards({}))).toEqual(expected);
  });

  it('counts without making the texts', () => {
    const template = parseTemplate('{a|b}'.repeat(60), false);
    expect(countTexts(template, { entries: new Wildcards(undefined, '/'), all: true })).toBe(2 ** 60);
  });

  it.each(['{2$$a|b}', '{0.5::a|b}', '{a|2::b}', '{1-2$$a|b}'])(
    'refuses %s, which means something elsewhere',
    (text) => {
      expect(() => parseTemplate(text, false)).toThrow(/not supported/);
    },
  );

  it('refuses braces too deep', () => {
    expect(() => parseTemplate('{'.repeat(100_000), false)).toThrow(/nested 16 deep/);
  });

  it('keeps every text without special characters, and never fails otherwise than by its own error', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', ' ', '(', ':', '1', '\\', '{', '}', '|', '_') }), (text) => {
        let template: ReturnType<typeof parseTemplate>;
        try {
          template = parseTemplate(text, true);
        } catch (error) {
          expect(error).toMatchObject({ name: 'UsageError' });
          return;
        }
        if (!/[{}|_\\]/.test(text)) expect(onlyText(template)).toBe(text);
      }),
    );
  });
});

describe('wildcards', () => {
  const files = {
    colour: '# colours\nred\n\n  blue  \r\ngreen\n',
    'places/town': 'in {Oslo|Rome}\nat __sea__\n',
    sea: 'sea',
  };

  it('gives every entry, those of its entries too', async () => {
    const known = await wildcards(files);
    expect(await textsOf('__colour__ __places/town__', known)).toEqual([
      ...['red in Oslo', 'red in Rome', 'red at sea'],
      ...['blue in Oslo', 'blue in Rome', 'blue at sea'],
      ...['green in Oslo', 'green in Rome', 'green at sea'],
    ]);
  });

  it('draws by the seed alone, each place for itself', async () => {
    const known = await wildcards(files);
    const draw = async (seed: number) =>
      (await textsOf('__colour__ __colour__ __places/town__', known, { all: false, seed }))[0];
    expect(await textsOf('__colour__ __places/town__', known, { all: false })).toHaveLength(1);
    expect(await draw(3)).toBe(await draw(3));
    const drawn = new Set(await Promise.all(Array.from({ length: 200 }, (_, seed) => draw(seed))));
    // 3 × 3 × 3 texts, and none of 200 seeds' draws missing one has odds of 27·(26/27)^200 = 1.4 %; these seeds do not.
    expect(drawn.size).toBe(27);
  });

  it('tells what stood where', async () => {
    const known = await wildcards(files);
    const template = parseTemplate('{a|b} __places/town__', true);
    await known.read(template);
    expect(textAt(template, 4, { entries: known, all: true, seed: 0 })).toEqual({
      text: 'b in Rome',
      chosen: [
        { place: '{|}', text: 'b' },
        { place: '__places/town__', text: 'in Rome' },
        { place: '{|}', text: 'Rome' },
      ],
    });
  });

  it.each([
    ['__colur__', /__colur__ has no file .*colur\.txt; did you mean colour\?/],
    ['__loop__', /__loop__ leads to itself: loop > loop/],
    ['__a__', /__a__ leads to itself: a > b > a/],
    ['__empty__', /empty\.txt has no entry/],
    ['__bad__', /not UTF-8/],
  ])('refuses %s', async (text, message) => {
    const known = await wildcards({ ...files, loop: 'x __loop__', a: '__b__', b: 'c\n__a__', empty: '# nothing\n' });
    await writeFile(join(folder, 'bad.txt'), Buffer.from([0xff, 0xfe, 0x41]));
    await expect(textsOf(text, known)).rejects.toThrow(message);
  });

  it.each(['__../secret__', '__/etc/passwd__', '__.hidden__', '__a/../../b__'])(
    '%s is a text: it would leave the folder',
    (text) => {
      expect(onlyText(parseTemplate(text, true))).toBe(text);
    },
  );

  it('says how to give a folder where there is none', async () => {
    await expect(new Wildcards(undefined, folder).read(parseTemplate('__x__', true))).rejects.toThrow(
      /give the folder of its file with --wildcards/,
    );
  });
});
