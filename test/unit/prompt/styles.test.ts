import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseCsv } from '../../../src/prompt/csv.js';
import { applyStyles, parseStyles, readStyles } from '../../../src/prompt/styles.js';
import { FailureError, UsageError } from '../../../src/request/errors.js';
import { LIMITS } from '../../../src/request/limits.js';

describe('parseCsv', () => {
  // What Python's csv.reader gives with skipinitialspace; it has a row of no fields for an empty line.
  it.each<[string, string[][]]>([
    ['a,b\n"x ""y""", z\n\n"","q\nr"\nlast', [['a', 'b'], ['x "y"', 'z'], ['', 'q\nr'], ['last']]],
    ['a""b,"c"d,"e""f"\n', [['a""b', 'cd', 'e"f']]],
    ['""""\n', [['"']]],
    ['"""a"""', [['"a"']]],
    [' "a" , b\n', [['a ', 'b']]],
    ['a, \n', [['a', '']]],
    [',\n', [['', '']]],
    ['"a\n', [['a\n']]],
    ['  \nx\n', [[''], ['x']]],
    ['""x,""""""\n', [['x', '""']]],
    ['"a""b"c"d"\n', [['a"bc"d"']]],
    ['"" "x"\n', [[' "x"']]],
    ['a\r\nb\rc', [['a'], ['b'], ['c']]],
    ['', []],
  ])('%j', (text, rows) => {
    expect(parseCsv(text)).toEqual(rows);
  });

  it('gives back what was quoted, and never fails', () => {
    const rows = fc.array(fc.array(fc.string({ unit: 'binary', maxLength: 8 }), { minLength: 1, maxLength: 4 }));
    fc.assert(
      fc.property(rows, (written) => {
        const text = written
          .map((row) => row.map((field) => `"${field.replaceAll('"', '""')}"`).join(','))
          .join('\r\n');
        expect(parseCsv(text)).toEqual(written);
      }),
    );
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('"', ',', '\n', '\r', ' ', 'a') }), (text) => {
        for (const row of parseCsv(text)) expect(row.length).toBeGreaterThan(0);
      }),
    );
  });
});

const FILE = `name,prompt,negative_prompt
Oil,"oil painting, {prompt}, canvas","photo"
Plain,sharp,
#old,x,y
None,,
`;

describe('parseStyles and applyStyles', () => {
  const styles = parseStyles(`\ufeff${FILE}`);
  const apply = (prompt: string, names: string[], field: 'prompt' | 'negativePrompt' = 'prompt') =>
    applyStyles(prompt, field, names, styles);

  it('put a prompt into a style, or the style behind it', () => {
    expect([...styles.keys()]).toEqual(['Oil', 'Plain', 'None']);
    expect(apply('a fox', ['Oil'])).toBe('oil painting, a fox, canvas');
    expect(apply('a fox ', ['Plain', 'Oil'])).toBe('oil painting, a fox, sharp, canvas');
    expect(apply('a fox', ['Oil', 'Plain'])).toBe('oil painting, a fox, canvas, sharp');
    expect(apply('', ['Plain'])).toBe('sharp');
    expect(apply('a fox', ['None'])).toBe('a fox');
    expect(apply('$& $1', ['Oil'])).toBe('oil painting, $& $1, canvas');
    expect(apply('', ['Oil', 'Plain'], 'negativePrompt')).toBe('photo');
    expect(apply('blurry', ['Oil'], 'negativePrompt')).toBe('blurry, photo');
  });

  it('read old files, and of equal names the last', () => {
    const old = parseStyles('name,text\nA,one\nA,two\n');
    expect([...old]).toEqual([['A', { prompt: 'two', negativePrompt: '' }]]);
    expect(() => parseStyles('a,b\n')).toThrow(FailureError);
    expect(() => parseStyles('')).toThrow(/must name the columns/);
  });

  it('refuse unknown names, and what would grow without end', () => {
    expect(() => apply('', ['Oill'])).toThrow(/unknown style Oill; did you mean Oil\?/);
    expect(() => applyStyles('', 'prompt', ['Oil'], new Map())).toThrow(/there are no styles: give a file/);
    const twice = parseStyles('name,prompt\nT,{prompt}{prompt}\n');
    const names = Array<string>(LIMITS.styles).fill('T');
    expect(() => applyStyles('x', 'prompt', names, twice)).toThrow(UsageError);
  });
});

describe('readStyles', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sdgen-styles-'));
    await writeFile(join(folder, 'a.csv'), FILE);
    await writeFile(join(folder, 'b.csv'), 'name,prompt\nOil,acrylic\n');
    await writeFile(join(folder, 'broken.csv'), Buffer.from([0xff, 0xfe, 0]));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('lets a later file win, and names one that cannot be read', async () => {
    const both = await readStyles([join(folder, 'a.csv'), join(folder, 'b.csv')]);
    expect(both.get('Oil')?.prompt).toBe('acrylic');
    expect(both.get('Plain')?.prompt).toBe('sharp');
    for (const name of ['none.csv', 'broken.csv', '.']) {
      await expect(readStyles([join(folder, name)])).rejects.toMatchObject({
        code: 'E_IO',
        message: expect.stringContaining(join(folder, name)),
      });
    }
  });
});
