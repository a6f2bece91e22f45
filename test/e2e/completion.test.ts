import { spawnSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CliSandbox } from '../support/cli.js';
import { ROOT } from '../support/project.js';

let box: CliSandbox;
beforeAll(async () => {
  box = await CliSandbox.create();
});
afterAll(() => box.remove());

describe('completion in a real shell', () => {
  /** A shell that knows only the built package; skipped where the shell is not installed. */
  async function inShell(shell: 'bash' | 'fish', script: string): Promise<string[] | undefined> {
    await mkdir(box.path('bin'), { recursive: true });
    writeFileSync(box.path('bin/sdgen'), `#!/bin/sh\nexec "${process.execPath}" "${ROOT}/bin/sdgen.mjs" "$@"\n`);
    chmodSync(box.path('bin/sdgen'), 0o755);
    const { out } = await box.run(['completion', shell]);
    const env = { PATH: `${box.path('bin')}:${process.env.PATH}`, HOME: box.path('home') };
    const ended = spawnSync(shell, ['-c', `${out}\n${script}`], { cwd: box.folder, env, encoding: 'utf8' });
    if (ended.error !== undefined && 'code' in ended.error && ended.error.code === 'ENOENT') return undefined;
    expect(ended).toMatchObject({ status: 0, stderr: '' });
    return ended.stdout.trim().split('\n');
  }

  it('works in bash, quoting names as they need it', async () => {
    const at = (...line: string[]) =>
      `COMP_WORDS=(sdgen ${line.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${line.length}; ` +
      `_sdgen; printf '<%s>' "\${COMPREPLY[@]}"; echo`;
    const asked = [
      ['txt2img', '--sampler', 'Eu'],
      ['txt2img', '--sampler', '=', 'Eu'],
      ['txt2img', '--sampler', '"Heu'],
      ['inf'],
      ['info', 'x'],
    ];
    const found = await inShell('bash', asked.map((line) => at(...line)).join('\n'));
    expect(found).toEqual(['<Euler\\ a><Euler>', '<Euler\\ a><Euler>', '<Heun>', '<info>', '<>']);
  });

  it('works in fish, where there is one', async ({ skip }) => {
    const found = await inShell('fish', `complete -C 'sdgen txt2img --sampler Eu'; complete -C 'sdgen inf'`);
    if (found === undefined) skip('fish is not installed');
    expect(found?.map((line) => line.split('\t')[0]).filter(Boolean)).toEqual(['Euler', 'Euler a', 'info']);
  });
});
