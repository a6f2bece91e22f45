import { randomBytes } from 'node:crypto';
import { copyFile, open, readdir, truncate, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CliSandbox } from '../support/cli.js';
import { tinyModelPath } from '../support/tiny-model.js';

let box: CliSandbox;
beforeAll(async () => {
  box = await CliSandbox.create();
});
afterAll(() => box.remove());

/** A safetensors file's first eight bytes: the header's length. */
function headerLength(length: bigint, rest: string | Buffer = ''): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(length);
  return Buffer.concat([bytes, Buffer.from(rest)]);
}

function withHeader(header: string): Buffer {
  return headerLength(BigInt(header.length), header);
}

const TENSOR = '{"dtype":"F32","shape":[2],"data_offsets":[0,8]}';

const FILES: Record<string, { readonly bytes: () => Promise<Buffer | string>; readonly says: RegExp }> = {
  empty: { bytes: async () => '', says: /empty|too short|0 bytes/i },
  short: { bytes: async () => 'abc', says: /short|bytes|truncated/i },
  random: { bytes: async () => randomBytes(100_000), says: /header|safetensors/i },
  'header-beyond-file': { bytes: async () => headerLength(1000n, '{}'), says: /header/i },
  'huge-header': { bytes: async () => headerLength(0xffffffffffffffffn, '{}'), says: /header/i },
  'not-json': { bytes: async () => withHeader('{"a": nonsense}'), says: /header|JSON/i },
  'no-tensors': { bytes: async () => withHeader('{}'), says: /tensor|checkpoint|missing/i },
  'not-a-checkpoint': {
    bytes: async () => Buffer.concat([withHeader(`{"a":${TENSOR}}`), Buffer.alloc(8)]),
    says: /missing|checkpoint|Stable Diffusion|family/i,
  },
  'data-missing': { bytes: async () => withHeader(`{"a":${TENSOR}}`), says: /truncated|beyond|end|data|bytes/i },
};

async function refused(path: string): Promise<string> {
  const results = [];
  for (const argv of [
    ['txt2img', '-p', 'x', '-m', path],
    ['models', 'inspect', path],
  ]) {
    const { code, out, err } = await box.run(argv);
    expect({ code, out, lines: err.trimEnd().split('\n').length }).toEqual({ code: 1, out: '', lines: 1 });
    expect(err).toContain(path.replace(/^\.\//, ''));
    results.push(err);
  }
  expect(await readdir(box.folder)).not.toContain('outputs');
  return results.join('');
}

describe('a model file that is', () => {
  for (const [name, { bytes, says }] of Object.entries(FILES)) {
    it(name, async () => {
      await writeFile(box.path(`${name}.safetensors`), await bytes());
      expect(await refused(`./${name}.safetensors`)).toMatch(says);
    });
  }

  it('truncated', async () => {
    const path = box.path('truncated.safetensors');
    await copyFile(await tinyModelPath('micro1'), path);
    const file = await open(path);
    const { size } = await file.stat();
    await file.close();
    await truncate(path, size - 1000);
    expect(await refused('./truncated.safetensors')).toMatch(/truncated|beyond|end|bytes/i);
  });

  it('a pickle', async () => {
    await writeFile(box.path('old.ckpt'), Buffer.from('PK\x03\x04 a zip with a pickle'));
    expect(await refused('./old.ckpt')).toMatch(/safetensors/);
  });

  it('a text that calls itself a checkpoint', async () => {
    await writeFile(box.path('text.safetensors'), '<!DOCTYPE html><html>not found</html>');
    expect(await refused('./text.safetensors')).toMatch(/header|safetensors/i);
  });
});
