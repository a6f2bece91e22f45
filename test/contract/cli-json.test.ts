import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CliSandbox } from '../support/cli.js';
import { createFakeEngine } from '../support/fake-native.js';

let box: CliSandbox;
beforeAll(async () => {
  box = await CliSandbox.create({ 'one.safetensors': 'weights' });
});
afterAll(() => box.remove());

/** The names and types of everything in a JSON value. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? [] : [shapeOf(value[0])];
  if (typeof value !== 'object' || value === null) return value === null ? 'null' : typeof value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, shapeOf(item)]));
}

const run = ['txt2img', '-p', 'a', '-n', 'b', '-m', 'one', '--width', '16', '--height', '16', '--steps', '2', '--json'];

/** Programs read these documents: a change here is a change of the interface. */
describe('--json', () => {
  it.each([
    ['txt2img', [...run, '--grid', '--profile', '--quiet']],
    ['txt2img-dry-run', [...run, '--dry-run']],
    ['models-list', ['models', 'list', '--json']],
    ['models-inspect', ['models', 'inspect', 'one', '--json']],
    ['doctor', ['doctor', '--json']],
    ['explain', ['explain', 'a [b:unphotogenic:1]', '--json']],
    ['info', ['info', 'outputs/00001-7.png', '--json']],
  ])('%s', async (name, argv) => {
    const { addon } = createFakeEngine();
    if (name === 'info')
      await box.run([...run, '--seed', '7', '--output', 'outputs/00001-7.png', '--force'], { addon });
    const { code, out } = await box.run(argv, { addon });
    expect(code).toBe(0);
    const shape = JSON.stringify(shapeOf(JSON.parse(out)), null, 2);
    await expect(`${shape}\n`).toMatchFileSnapshot(`../fixtures/json-shapes/${name}.json`);
  });
});
