import { beforeEach, describe, expect, it } from 'vitest';
import { findCheckpoint, listCheckpoints } from '../../../src/checkpoints/find.js';
import { resolveVae } from '../../../src/checkpoints/find-vae.js';
import { isVaeName } from '../../../src/checkpoints/vae-names.js';
import { useScratchFolder } from '../../support/scratch-folder.js';

const { path: at, put } = useScratchFolder();

const folders = (): string[] => [at('m')];
const vaeFor = async (model: string, wanted?: string): Promise<string | undefined> =>
  resolveVae(wanted, await findCheckpoint(model, folders(), at()), folders(), at());

describe('the name of a VAE', () => {
  it.each([
    ['m/one.vae.safetensors', true],
    ['m/One.VAE.pt', true],
    ['m/one.vae.ckpt', true],
    ['m/VAE/fine.safetensors', true],
    ['m/vae/fine.ckpt', true],
    ['m/one-vae.safetensors', false],
    ['m/vae-ft-mse.safetensors', false],
    ['m/vae.safetensors', false],
  ])('%s: %s', (path, expected) => {
    expect(isVaeName(path)).toBe(expected);
  });

  it('keeps it from being a model, and pickles of it are listed to be named', async () => {
    await put('m/one.safetensors');
    await put('m/one.vae.safetensors');
    await put('m/VAE/old.pt');
    await put('m/weights.pt');
    const files = await listCheckpoints(folders());
    expect(files.map(({ name, kind }) => [name, kind])).toEqual([
      ['old', 'VAE'],
      ['one', 'model'],
      ['one.vae', 'VAE'],
    ]);
    await expect(findCheckpoint('one.vae', folders(), at())).rejects.toThrow(/no model named one\.vae/);
  });
});

describe('automatic', () => {
  it('is the one beside the checkpoint of just that name, and what an absent --vae means', async () => {
    await put('m/one.safetensors');
    await put('m/two.safetensors');
    const beside = await put('m/one.vae.safetensors');
    await put('m/two-b.vae.safetensors');
    for (const wanted of [undefined, 'automatic', 'Automatic', 'auto'])
      expect(await vaeFor('one', wanted)).toBe(beside);
    expect(await vaeFor('two')).toBeUndefined();
    for (const wanted of ['none', 'None']) expect(await vaeFor('one', wanted)).toBeUndefined();
  });

  it('goes for folders of diffusers too', async () => {
    await put('m/folder/model_index.json');
    const beside = await put('m/folder.vae.safetensors');
    expect(await vaeFor('folder')).toBe(beside);
  });

  it.each(['pt', 'ckpt'])('refuses a pickle beside the checkpoint by its name: .vae.%s', async (ending) => {
    await put('m/one.safetensors');
    const beside = await put(`m/one.vae.${ending}`);
    await expect(vaeFor('one')).rejects.toThrow(
      `the VAE ${beside} is a pickle, which can run any code and is not read: convert it to .safetensors, ` +
        "or take the model's own by --vae none",
    );
    expect(await vaeFor('one', 'none')).toBeUndefined();
    const readable = await put('m/one.vae.safetensors');
    expect(await vaeFor('one')).toBe(readable);
  });
});

describe('a VAE that is named', () => {
  beforeEach(async () => {
    await put('m/one.safetensors');
  });

  it('is a path, a name with or without its ending, in any case, or a checkpoint', async () => {
    const fine = await put('m/VAE/Fine.vae.safetensors');
    const names = [fine, 'm/VAE/Fine.vae.safetensors', 'Fine.vae', 'Fine.vae.safetensors', 'fine.VAE.safetensors'];
    for (const wanted of names) expect(await vaeFor('one', wanted)).toBe(fine);
    expect(await vaeFor('one', 'one')).toBe(at('m/one.safetensors'));
  });

  it('must be there, be one, and be no pickle', async () => {
    await put('m/VAE/fine.vae.safetensors');
    await put('m/other/fine.vae.safetensors');
    const pickle = await put('m/VAE/old.pt');
    await expect(vaeFor('one', 'fine.vae')).rejects.toThrow(/the VAE name fine\.vae is ambiguous/);
    await expect(vaeFor('one', 'fine.vea')).rejects.toThrow(
      /there is no VAE named fine\.vea .*; --vae none takes the model's own; did you mean/,
    );
    await expect(vaeFor('one', 'gone.safetensors')).rejects.toThrow(/there is no file .*gone\.safetensors and no VAE/);
    await expect(vaeFor('one', './gone')).rejects.toThrow(
      /cannot read the VAE .*gone: there is no such file; --vae none/,
    );
    for (const wanted of ['old', 'old.pt', pickle]) {
      await expect(vaeFor('one', wanted)).rejects.toThrow(`the VAE ${pickle} is a pickle`);
    }
    await expect(vaeFor('one', '')).rejects.toThrow(/vae must be a name or a path/);
  });
});
