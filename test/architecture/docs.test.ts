import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { filesUnder, ROOT } from '../support/project.js';

const DOCUMENTS = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  ...filesUnder(join(ROOT, 'docs'), /\.md$/).map((path) => `docs/${path}`),
];
const scripts: Record<string, string> = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).scripts;
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

/** Shell commands in ```sh fences, one each where lines join several by &&. */
function shellCommands(markdown: string): string[] {
  return [...markdown.matchAll(/^```sh\n([\s\S]*?)^```$/gm)]
    .flatMap(([, block = '']) => block.split('\n'))
    .flatMap((line) => line.split('&&'))
    .map((command) => command.trim())
    .filter((command) => command !== '');
}

/** What a command needs of this project and does not find: a script, a file, a command of sdgen. */
function missing(command: string): string[] {
  const words = command.split(/\s+/);
  const script = /^npm run ([\w:]+)/.exec(command)?.[1];
  const files = words.filter((word) => /^(\.ci|scripts|test|bin)\/[\w./-]+$/.test(word));
  return [
    ...(script !== undefined && scripts[script] === undefined ? [`npm run ${script}`] : []),
    ...(words[0] === 'npm' && words[1] === 'test' && scripts.test === undefined ? ['npm test'] : []),
    ...files.filter((file) => !existsSync(join(ROOT, file))),
  ];
}

/** Paths of this project written in `code` or as links, that do not exist. */
function brokenPaths(markdown: string, folder: string): string[] {
  const code = [...markdown.matchAll(/`((?:src|native|scripts|test|docs|bin|\.ci)\/[\w./-]*)`/g)].map(
    ([, path = '']) => path,
  );
  const links = [...markdown.matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, path = '']) => join(folder, path));
  return [...code, ...links].filter((path) => !existsSync(join(ROOT, path)));
}

describe('documents', () => {
  it.each(DOCUMENTS)('%s names only what exists', (path) => {
    expect(brokenPaths(read(path), dirname(path))).toEqual([]);
    expect(shellCommands(read(path)).flatMap(missing)).toEqual([]);
  });

  it('open with the two commands of a fresh clone', () => {
    const [picture, sheet, tests] = [...read('README.md').matchAll(/^```sh\n(.*)\n```$/gm)].map(([, line]) => line);
    expect(picture).toMatch(/^npm ci && npx sdgen txt2img --prompt "[^"]*" --output \S+$/);
    expect(sheet).toMatch(/^npx sdgen batch models\/pocket\/pictures\.yaml /);
    expect(tests).toBe('npm ci && npm test');
  });

  it('list every npm script that a person calls', () => {
    const called = Object.keys(scripts).filter((name) => !['prepare', 'test'].includes(name));
    expect(called.filter((name) => !read('CONTRIBUTING.md').includes(`npm run ${name}`))).toEqual([]);
  });

  it('have the sections that newcomers look for', () => {
    const sections = [...read('CONTRIBUTING.md').matchAll(/^## (.*)$/gm)].map(([, title]) => title);
    expect(sections).toEqual([
      'Quickstart',
      'Local verification',
      'CI parity',
      'Tiny models',
      'Development workflow',
      'How to add …',
    ]);
  });

  it('are found out when they name what is gone', () => {
    const text =
      '```sh\nnpm ci && npm run nonsense\nnode scripts/gone.mjs x\n```\nSee `src/gone.ts` and [it](gone.md).\n';
    expect(shellCommands(text).flatMap(missing)).toEqual(['npm run nonsense', 'scripts/gone.mjs']);
    expect(brokenPaths(text, 'docs')).toEqual(['src/gone.ts', 'docs/gone.md']);
  });

  it('name no machine of ours', () => {
    for (const path of DOCUMENTS) expect(read(path)).not.toMatch(/\/(root|home\/\w+|work)\//);
  });
});
