import { writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pictureProtocol, pictureSequence } from '../../../src/cli/show.js';
import { encodePng, readImageInfo } from '../../../src/image/codec.js';
import { CliSandbox } from '../../support/cli.js';
import { createFakeEngine } from '../../support/fake-native.js';

let box: CliSandbox;
beforeAll(async () => {
  box = await CliSandbox.create({ 'one.safetensors': 'weights' });
});
afterAll(() => box.remove());

const SIZE = ['--width', '16', '--height', '24', '--steps', '1', '--force'];
const ITERM = { TERM_PROGRAM: 'iTerm.app' };
const KITTY = { TERM: 'xterm-kitty' };

/** Control characters as the signs that stand for them. */
const visible = (text: string): string => text.replaceAll('\u001b', '␛').replaceAll('\u0007', '␇');

/** The PNG in iTerm2's sequence, or in kitty's several. */
function shownPng(text: string): Buffer {
  const iterm = /␛\]1337;File=[^:]*:([^␇]*)␇/.exec(visible(text));
  const parts = iterm === null ? [...visible(text).matchAll(/␛_G[^;]*;([^␛]*)␛\\/g)] : [iterm];
  return Buffer.from(parts.map(([, part = '']) => part).join(''), 'base64');
}

describe('pictureProtocol', () => {
  it.each([
    [ITERM, 'iterm2'],
    [{ TERM_PROGRAM: 'WezTerm' }, 'iterm2'],
    [{ LC_TERMINAL: 'iTerm2', TERM: 'xterm-256color' }, 'iterm2'],
    [KITTY, 'kitty'],
    [{ TERM: 'xterm-ghostty' }, 'kitty'],
    [{ KITTY_WINDOW_ID: '1' }, 'kitty'],
    [{ KONSOLE_VERSION: '220401' }, 'kitty'],
    [{ KONSOLE_VERSION: '210800' }, undefined],
    [{ TERM: 'xterm-256color', TERM_PROGRAM: 'Apple_Terminal' }, undefined],
    [{}, undefined],
  ])('of %j is %s', (env, protocol) => {
    expect(pictureProtocol(env)).toBe(protocol);
  });
});

describe('pictureSequence', () => {
  it('cuts a large picture into pieces that kitty takes', () => {
    const png = Buffer.from(Array.from({ length: 7000 }, (_, i) => i % 251));
    const text = pictureSequence(png, 'kitty');
    const heads = [...visible(text).matchAll(/␛_G([^;]*);([^␛]*)/g)];
    expect(heads.map(([, keys]) => keys)).toEqual(['f=100,a=T,q=2,m=1', 'm=1', 'm=0']);
    expect(heads.every(([, , part = '']) => part.length <= 4096)).toBe(true);
    expect(shownPng(text)).toEqual(png);
    expect(pictureSequence(png.subarray(0, 10), 'kitty')).toContain('q=2,m=0;');
    expect(visible(pictureSequence(png, 'iterm2'))).toMatch(/^␛\]1337;File=inline=1;size=7000:[\w+/=]+␇\n$/);
  });
});

describe('--show', () => {
  const run = (argv: string[], env: Record<string, string>, more: object = {}) => {
    const { addon } = createFakeEngine();
    const options = { addon, env, stdoutIsTTY: true, ...more };
    return box.run(['txt2img', '-p', 'x', '-m', 'one', '-q', '--output', 'x.webp', ...SIZE, ...argv], options);
  };

  it.each([ITERM, KITTY])('puts the picture before its path (%j)', async (env) => {
    const { code, out, err } = await run(['--show'], env);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out.endsWith('\nx.webp\n')).toBe(true);
    expect(await readImageInfo(shownPng(out))).toMatchObject({ format: 'png', width: 16, height: 24 });
  });

  it('leaves standard output to JSON', async () => {
    const { out, err } = await run(['--show', '--json'], KITTY, { stderrIsTTY: true });
    expect(JSON.parse(out).files).toHaveLength(1);
    expect(await readImageInfo(shownPng(err))).toMatchObject({ width: 16 });
  });

  it.each([
    ['a pipe', KITTY, { stdoutIsTTY: false }, 'neither standard output nor standard error is a terminal'],
    ['an unknown terminal', { TERM: 'xterm' }, {}, 'this terminal is not known to show pictures; iTerm2,'],
    ['tmux', { ...KITTY, TMUX: '/tmp/x' }, {}, 'tmux and screen keep pictures from the terminal'],
  ])('says why %s shows nothing, and goes on', async (_case, env, more, reason) => {
    const { code, out, err } = await run(['--show'], env, more);
    expect({ code, out }).toEqual({ code: 0, out: 'x.webp\n' });
    expect(err).toContain(`warning: --show shows nothing: ${reason}`);
    expect((await run([], { ...env, SDGEN_SHOW: '1' }, more)).err).toBe('');
  });

  it('shows a picture that is there, made smaller if it is large', async () => {
    await writeFile(box.path('large.png'), await encodePng(new Uint8Array(2048 * 8 * 3), 2048, 8));
    const { code, out } = await box.run(['info', 'large.png', '--show'], { env: ITERM, stdoutIsTTY: true });
    expect(code).toBe(0);
    expect(await readImageInfo(shownPng(out))).toMatchObject({ width: 1024, height: 4 });
    const damaged = (await encodePng(new Uint8Array(192), 8, 8)).subarray(0, 33);
    const end = Buffer.from('0000000049454e44ae426082', 'hex');
    await writeFile(box.path('damaged.png'), Buffer.concat([damaged, end]));
    const { err, code: failed } = await box.run(['info', 'damaged.png', '--show'], { env: ITERM, stdoutIsTTY: true });
    expect(failed).toBe(1);
    expect(err).toContain('error: the picture cannot be shown: ');
  });
});
