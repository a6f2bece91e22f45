import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { loadAddon } from '../../src/native/load.js';
import { ADDON_PATH } from '../support/native-model.js';

const folder = mkdtempSync(join(tmpdir(), 'sdgen-addon-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A copy of the addon, changed. */
function changed(name: string, change: (bytes: Buffer) => Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, change(readFileSync(ADDON_PATH)));
  return path;
}

describe('the built addon', () => {
  it('loads from anywhere', async () => {
    const path = join(folder, 'copy.node');
    copyFileSync(ADDON_PATH, path);
    expect((await loadAddon({ SDGEN_ADDON: path })).version()).toBe((await loadAddon()).version());
  });

  it('for another processor is told from one that is not there', async () => {
    const path = changed('other-machine.node', (bytes) => {
      bytes.writeUInt16LE(process.arch === 'x64' ? 0xb7 : 0x3e, 18); // e_machine of the ELF header
      return bytes;
    });
    await expect(loadAddon({ SDGEN_ADDON: path })).rejects.toThrow(
      /another processor than \w+; delete .*npm run build/,
    );
  });

  it('that needs a shared library which is missing names it', async () => {
    const path = changed('missing-library.node', (bytes) => {
      const at = bytes.indexOf('libstdc++.so.6\0');
      expect(at).toBeGreaterThan(0);
      bytes.write('libabsent.so.6', at, 'latin1');
      return bytes;
    });
    await expect(loadAddon({ SDGEN_ADDON: path })).rejects.toThrow(/the shared library libabsent\.so\.6 is missing; /);
  });

  it('that was cut off is damaged', async () => {
    const path = changed('cut.node', (bytes) => bytes.subarray(0, 40));
    await expect(loadAddon({ SDGEN_ADDON: path })).rejects.toThrow(/damaged or not a Linux library; /);
  });
});
