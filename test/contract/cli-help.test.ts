import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CliSandbox } from '../support/cli.js';
import { ROOT } from '../support/project.js';

/** Every command that help shows, found below; a new one is added here. */
const COMMANDS = [
  [],
  ['txt2img'],
  ['img2img'],
  ['upscale'],
  ['batch'],
  ['explain'],
  ['serve'],
  ['worker'],
  ['fleet'],
  ['info'],
  ['plan'],
  ['verify'],
  ['models'],
  ['models', 'list'],
  ['models', 'inspect'],
  ['doctor'],
  ['bench'],
  ['debug'],
  ['debug', 'eval'],
  ['debug', 'compare'],
  ['config'],
  ['config', 'list'],
  ['config', 'get'],
  ['config', 'set'],
  ['config', 'unset'],
  ['config', 'path'],
  ['completion'],
];
const fileOf = (command: readonly string[]): string => `${command.join('-') || 'sdgen'}.txt`;

let box: CliSandbox;
beforeAll(async () => {
  box = await CliSandbox.create();
});
afterAll(() => box.remove());

const help = async (command: readonly string[]): Promise<string> => {
  const { code, out, err } = await box.run([...command, '--help']);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return out;
};

/** The commands that a command's help lists, and those below them. */
async function listed(command: readonly string[]): Promise<string[][]> {
  const [, section = ''] = /\nCommands:\n((?: {2}.*\n)*)/.exec(await help(command)) ?? [];
  const names = [...section.matchAll(/^ {2}(\w[\w-]*)/gm)].flatMap(([, name = '']) => (name === 'help' ? [] : [name]));
  const below = await Promise.all(names.map((name) => listed([...command, name])));
  return names.flatMap((name, i) => [[...command, name], ...(below[i] ?? [])]);
}

/** The command line is a promise: a change here is a change of it. */
describe('help', () => {
  it.each(COMMANDS.map((command) => [fileOf(command), command] as const))('%s', async (name, command) => {
    const text = await help(command);
    expect(text).toMatch(/\nExamples:\n {2}\$ /);
    await expect(text).toMatchFileSnapshot(`../fixtures/help/${name}`);
  });

  it('of every command is held here', async () => {
    expect([[], ...(await listed([]))].map(fileOf).sort()).toEqual(COMMANDS.map(fileOf).sort());
    expect(readdirSync(join(ROOT, 'test/fixtures/help')).sort()).toEqual(COMMANDS.map(fileOf).sort());
  });
});
