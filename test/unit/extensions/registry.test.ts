import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Extension } from '../../../src/extensions/hooks.js';
import { loadExtensions } from '../../../src/extensions/load.js';
import { ExtensionRegistry } from '../../../src/extensions/registry.js';
import { UsageError } from '../../../src/request/errors.js';

const extension = (name: string, hooks: Extension['hooks']): Extension => ({ name, apiVersion: 1, hooks });
const latent = (fill: number) => ({
  data: new Float32Array(4).fill(fill),
  batch: 1,
  channels: 1,
  height: 2,
  width: 2,
});
const moment = { runId: 'r', batch: 1, step: 0, steps: 3, evaluation: 0, sigma: 14 };

function open() {
  const reports: string[] = [];
  return { reports, registry: new ExtensionRegistry((message) => reports.push(message)) };
}

describe('extension registry', () => {
  it('calls in the order of registration, each with what the one before made of it', () => {
    const { registry, reports } = open();
    const add =
      (by: number) =>
      ({ latent: { data } }: { latent: { data: Float32Array } }) =>
        data.map((v) => v * 2 + by);
    registry.register(extension('one', { after_cfg: add(1) }));
    registry.register(extension('looks', { after_cfg: () => undefined }));
    registry.register(extension('two', { after_cfg: add(5) }));
    const after = registry.call('after_cfg', { ...moment, latent: latent(3) });
    expect([...after.latent.data]).toEqual([19, 19, 19, 19]);
    expect(registry.names).toEqual(['one', 'looks', 'two']);
    expect(registry.latentHooks()).toEqual(['after_cfg']);
    expect(reports).toEqual([]);
  });

  it('reports a hook that throws once, leaves it out and goes on', () => {
    const { registry, reports } = open();
    registry.register(
      extension('bad', {
        after_cfg: () => {
          throw new Error('no luck');
        },
      }),
    );
    registry.register(extension('good', { after_cfg: ({ latent: { data } }) => data.map(() => 1) }));
    for (let i = 0; i < 3; i += 1) {
      expect([...registry.call('after_cfg', { ...moment, latent: latent(3) }).latent.data]).toEqual([1, 1, 1, 1]);
    }
    expect(reports).toEqual(['extension bad failed in after_cfg, which has no effect: no luck']);
  });

  it.each<[string, Extension['hooks'], string]>([
    ['another length', { after_cfg: () => new Float32Array(3) }, 'a Float32Array of 4 numbers is expected back'],
    ['a promise', { after_cfg: (async () => new Float32Array(4)) as never }, 'a hook may not be asynchronous'],
    ['an answer where none is wanted', { model_loaded: (() => 1) as never }, 'this hook may not give anything back'],
    ['too few branches', { cfg_denoised: () => ({ conds: [] }) }, 'conds must be a list of 1'],
    [
      'a branch that is not there',
      { cfg_denoised: () => ({ uncond: new Float32Array(4) }) },
      'there is no unconditional branch',
    ],
    [
      'pixels of another size',
      { before_image_saved: () => ({ pixels: new Uint8Array(1) }) },
      'pixels must be a Uint8Array of 3 bytes',
    ],
    ['no fields', { before_process: (() => 7) as never }, 'an object of fields is expected back'],
    [
      'a parameter that is no text',
      { infotext_pasted: (() => ({ Steps: 3 })) as never },
      'the parameter "Steps" must be text',
    ],
  ])('refuses %s', (_, hooks, message) => {
    const { registry, reports } = open();
    registry.register(extension('x', hooks));
    registry.call('after_cfg', { ...moment, latent: latent(3) });
    registry.call('model_loaded', { runId: 'r', name: 'm', sha256: '', family: 'sd1' });
    registry.call('cfg_denoised', { ...moment, conds: [latent(1)], uncond: undefined });
    const picture = { runId: 'r', index: 0, seed: 1, width: 1, height: 1, pixels: new Uint8Array(3), infotext: '' };
    registry.call('before_image_saved', picture);
    registry.call('before_process', { runId: 'r', request: {} });
    registry.call('infotext_pasted', { infotext: '', parameters: {} });
    expect(reports).toHaveLength(1);
    expect(reports[0]).toContain(message);
  });

  it('takes a deprecated name and warns once', () => {
    const { registry, reports } = open();
    registry.register({ name: 'old', apiVersion: 1, hooks: { cfg_after_cfg: () => new Float32Array(4).fill(2) } });
    expect([...registry.call('after_cfg', { ...moment, latent: latent(3) }).latent.data]).toEqual([2, 2, 2, 2]);
    expect(reports).toEqual(['deprecated: the hook cfg_after_cfg of extension old is now called after_cfg']);
    const both = { name: 'both', apiVersion: 1, hooks: { cfg_after_cfg: () => undefined, after_cfg: () => undefined } };
    expect(() => registry.register(both)).toThrow('has the hook after_cfg twice');
  });

  it.each<[unknown, string]>([
    [undefined, 'its default export must be {name, apiVersion, hooks}'],
    [{ name: '', apiVersion: 1, hooks: {} }, 'its name must be'],
    [{ name: 'x', apiVersion: 2, hooks: {} }, 'it is for version 2 of the extension API; this is version 1'],
    [{ name: 'x', apiVersion: 1 }, 'its hooks must be an object'],
    [
      { name: 'x', apiVersion: 1, hooks: { cfg_denoise: () => 0 } },
      'there is no hook "cfg_denoise"; did you mean cfg_denoiser',
    ],
    [{ name: 'x', apiVersion: 1, hooks: { after_cfg: 3 } }, 'its hook after_cfg must be a function'],
  ])('refuses %o', (value, message) => {
    const { registry } = open();
    expect(() => registry.register(value, 'file.mjs')).toThrow(UsageError);
    expect(() => registry.register(value, 'file.mjs')).toThrow(`file.mjs is not an extension: ${message}`);
  });

  it('loads files in order, and refuses a name that is taken and a file that cannot be read', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sdgen-extension-'));
    const text = 'export default { name: "mine", apiVersion: 1, hooks: {} };\n';
    await writeFile(join(folder, 'a.mjs'), text);
    await writeFile(join(folder, 'b.mjs'), text);
    const { registry } = open();
    await loadExtensions(['a.mjs'], folder, registry);
    expect(registry.names).toEqual(['mine']);
    await expect(loadExtensions(['b.mjs'], folder, registry)).rejects.toThrow(
      'an extension named mine is there already',
    );
    await expect(loadExtensions(['none.mjs'], folder, registry)).rejects.toThrow('cannot load the extension none.mjs');
  });
});
