import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { filesUnder, ROOT } from '../support/project.js';

const MOST_LINES = 400;
const VAGUE = /(^|\/)(utils?|common|helpers?|shared|misc)(\/|\.[a-z]+$)/;

const SOURCES: [folder: string, pattern: RegExp][] = [
  ['src', /\.ts$/],
  ['native', /\.(h|cpp|cu|cuh)$/],
  ['scripts', /\.mjs$/],
  ['test', /\.(ts|h|cpp)$/],
];

const tooLong = (files: [path: string, text: string][]) =>
  files.filter(([, text]) => text.trimEnd().split('\n').length > MOST_LINES).map(([path]) => path);

describe('files', () => {
  const files = SOURCES.flatMap(([folder, pattern]) =>
    filesUnder(join(ROOT, folder), pattern).map((path): [string, string] => [
      `${folder}/${path}`,
      readFileSync(join(ROOT, folder, path), 'utf8'),
    ]),
  );

  it(`have at most ${MOST_LINES} lines`, () => {
    expect(files.length).toBeGreaterThan(50);
    expect(tooLong(files)).toEqual([]);
  });

  it('have names that say their job', () => {
    expect(files.map(([path]) => path).filter((path) => VAGUE.test(path))).toEqual([]);
  });

  it('are found when they are too long or vaguely named', () => {
    const lines = (count: number) => Array.from({ length: count }, (_, line) => `// ${line}\n`).join('');
    expect(
      tooLong([
        ['a.ts', lines(400)],
        ['b.ts', lines(401)],
      ]),
    ).toEqual(['b.ts']);
    expect(['src/util/a.ts', 'src/cli/helpers.ts', 'src/cli/utility.ts'].filter((path) => VAGUE.test(path))).toEqual([
      'src/util/a.ts',
      'src/cli/helpers.ts',
    ]);
  });
});
