import { writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodePng } from '../../../src/image/codec.js';
import { CliSandbox } from '../../support/cli.js';
import { createFakeEngine } from '../../support/fake-native.js';

let box: CliSandbox;
beforeAll(async () => {
  box = await CliSandbox.create({
    'one.safetensors': 'weights',
    'two.safetensors': 'others',
    'same.safetensors': 'weights',
  });
});
afterAll(() => box.remove());

describe('--from', () => {
  const run = (...argv: string[]) => box.run(['txt2img', '-q', ...argv], { addon: createFakeEngine().addon });

  it('warns when the model is another than the picture names, and goes on', async () => {
    const size = ['--width', '16', '--height', '16', '--steps', '2', '--seed', '3'];
    expect(await run('-p', 'a fox', '-m', 'one', ...size, '-o', 'fox.png')).toMatchObject({ code: 0, err: '' });
    expect(await run('--from', 'fox.png', '-o', 'again.png')).toMatchObject({ code: 0, err: '' });
    expect(await run('--from', 'fox.png', '-m', 'same', '-o', 'same.png')).toMatchObject({ code: 0, err: '' });
    const other = await run('--from', 'fox.png', '-m', 'two', '-o', 'other.png');
    expect(other).toMatchObject({ code: 0, out: 'other.png\n' });
    expect(other.err).toMatch(
      /^warning: the picture was made with "one" of hash [0-9a-f]{10}, not with two \([0-9a-f]{10}\): the result will differ\n$/,
    );
    expect((await run('--from', 'fox.png', '-m', 'two', '--dry-run')).err).toBe(other.err);
  });

  it.each([
    ['a hash of another kind', 'Model hash: 7460a6fa', ''],
    ['no hash', 'CFG scale: 7.0', ''],
    [
      'the hash of a VAE',
      'VAE hash: 00112233445566',
      "made with a VAE of hash 00112233445566, not with the model's own",
    ],
    ['a hash without a name', 'Model hash: 00112233445566', 'made with a model of hash 00112233445566, not with one ('],
  ])('takes %s for what it is', async (_case, pair, message) => {
    const text = `a\nSteps: 2, Seed: 3, Size: 16x16, ${pair}`;
    const png = await encodePng(new Uint8Array(192), 8, 8, [{ keyword: 'parameters', text }]);
    await writeFile(box.path('foreign.png'), png);
    const { code, err } = await run('--from', 'foreign.png', '-m', 'one', '--dry-run');
    expect(code).toBe(0);
    if (message === '') expect(err).toBe('');
    else expect(err).toContain(message);
  });
});
