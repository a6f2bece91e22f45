import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { explainLoadFailure, loadAddon } from '../../../src/native/load.js';
import { ROOT } from '../../support/project.js';

const folder = mkdtempSync(join(tmpdir(), 'sdgen-load-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

async function refusal(path: string): Promise<string> {
  const error: unknown = await loadAddon({ SDGEN_ADDON: path }).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ name: 'NativeError', code: 'E_ADDON' });
  return error instanceof Error ? error.message : '';
}

describe('loadAddon', () => {
  it('says that the file SDGEN_ADDON names is not there', async () => {
    expect(await refusal(join(folder, 'none.node'))).toMatch(
      /none\.node does not exist; correct or unset SDGEN_ADDON$/,
    );
  });

  it('says what is wrong with a file that is no library', async () => {
    const start = 'cannot be loaded: it is damaged or not a Linux library; delete ';
    expect(await refusal(file('text.node', 'not a library, though long enough to hold a header of one.'))).toContain(
      start,
    );
    expect(await refusal(file('empty.node', ''))).toContain(start);
  });

  it('refuses a module that is not ours, or of another version', async () => {
    const other = file('other.cjs', 'module.exports = { version: () => "1.0.0" };');
    expect(await refusal(other)).toMatch(/other\.cjs is not sdgen's native addon; unset SDGEN_ADDON$/);
    const exported = '{ version: () => "0.0.1", capabilities() {}, openModel() {} }';
    const old = file('old.cjs', `module.exports = ${exported};`);
    expect(await refusal(old)).toMatch(
      /old\.cjs is of version 0\.0\.1, the package of \d+\.\d+\.\d+; unset SDGEN_ADDON$/,
    );
  });
});

describe('explainLoadFailure', () => {
  const path = '/p/sdgen.node';
  const all = `delete ${join(ROOT, 'build')} and run \`npm run build\` in ${ROOT}`;
  it.each([
    [
      'libcuda.so.1: cannot open shared object file: No such file or directory',
      `the shared library libcuda.so.1 is missing; install it, or ${all}`,
    ],
    [
      `${path}: cannot open shared object file: No such file or directory`,
      `it was built for another processor than ${process.arch}; ${all}`,
    ],
    [`${path}: wrong ELF class: ELFCLASS32`, `it was built for another processor than ${process.arch}; ${all}`],
    [
      `/lib/libc.so.6: version \`GLIBC_2.99' not found (required by ${path})`,
      `it was built for a newer system than this one (no GLIBC_2.99); ${all}`,
    ],
    [
      `/lib/libstdc++.so.6: version \`GLIBCXX_3.4.99' not found (required by ${path})`,
      `it was built for a newer system than this one (no GLIBCXX_3.4.99); ${all}`,
    ],
    [
      `${path}: undefined symbol: napi_new_thing`,
      `Node ${process.version} does not know napi_new_thing; use Node 20.20 or newer`,
    ],
    [`${path}: undefined symbol: _ZN5sdgen6Engine`, `it is incomplete (undefined symbol _ZN5sdgen6Engine); ${all}`],
    [`Module did not self-register: '${path}'.`, `it is not an addon for Node.js; ${all}`],
    [
      `The module '${path}'\nwas compiled against a different Node.js version using\nNODE_MODULE_VERSION 93.`,
      `it was built for another Node.js; ${all}`,
    ],
    ['something new\nand more of it', `something new; run \`npm run build\` in ${ROOT}`],
  ])('%s', (message, explanation) => {
    expect(explainLoadFailure(path, message)).toBe(explanation);
  });
});
