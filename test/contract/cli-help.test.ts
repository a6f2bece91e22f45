import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CliSandbox } from '../support/cli.js';

let box: CliSandbox;
beforeAll(async () => {
  box = await CliSandbox.create();
});
afterAll(() => box.remove());

/** The command line is a promise: a change here is a change of it. */
describe('help', () => {
  it.each([
    ['sdgen', []],
    ['txt2img', ['txt2img']],
    ['info', ['info']],
    ['models', ['models']],
    ['models-list', ['models', 'list']],
    ['models-inspect', ['models', 'inspect']],
    ['doctor', ['doctor']],
  ])('%s', async (name, command) => {
    const { code, out, err } = await box.run([...command, '--help']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    await expect(out).toMatchFileSnapshot(`../fixtures/help/${name}.txt`);
  });
});
