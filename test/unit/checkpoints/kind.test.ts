import { utimes } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { findCheckpoint, listCheckpoints } from '../../../src/checkpoints/find.js';
import { resolveVae } from '../../../src/checkpoints/find-vae.js';
import { type KnownKinds, kindOfNames } from '../../../src/checkpoints/kind.js';
import { Catalog } from '../../../src/server/catalog.js';
import { useScratchFolder } from '../../support/scratch-folder.js';

const { path: at, put } = useScratchFolder();

/** A safetensors file of empty tensors. */
function fileOf(names: readonly string[], metadata: Readonly<Record<string, string>> = {}): Buffer {
  const tensors = names.map((name) => [name, { dtype: 'F32', shape: [0], data_offsets: [0, 0] }]);
  return fileWith(JSON.stringify({ __metadata__: metadata, ...Object.fromEntries(tensors) }));
}

function fileWith(header: string, length = BigInt(Buffer.byteLength(header))): Buffer {
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(length);
  return Buffer.concat([start, Buffer.from(header)]);
}

const UNET = 'model.diffusion_model.input_blocks.0.0.weight';
const VAE = 'decoder.conv_in.weight';

describe('the kind of a file', () => {
  it.each([
    ['model', ['cond_stage_model.transformer.text_model.final_layer_norm.bias', `first_stage_model.${VAE}`, UNET]],
    ['model', ['_orig_mod.diffusion_model.out.0.bias', VAE]],
    ['model', ['something.else']],
    ['model', []],
    ['VAE', ['encoder.conv_in.weight', VAE]],
    ['VAE', [`module.first_stage_model.${VAE}`]],
    ['model', ['encoder.conv_in.weight']],
    ['text encoder', ['text_model.embeddings.token_embedding.weight']],
    ['text encoder', ['cond_stage_model.model.ln_final.bias']],
    ['LoRA', ['lora_unet_down_blocks_0.lora_down.weight', 'lora_te_text_model.alpha']],
    ['LoRA', ['unet_layer.lora_A.weight']],
    ['LoRA', ['lora_te1_text_model.lora_up.weight']],
    ['ControlNet', ['control_model.input_blocks.0.0.weight']],
    ['embedding', ['emb_params']],
  ])('is %s by the names %j', (kind, names) => {
    expect(kindOfNames(names)).toBe(kind);
  });

  it('is read from headers, and opening is left to refuse the damaged', async () => {
    const header = JSON.stringify({ [VAE]: {} });
    await put('m/a-plain.safetensors', fileOf([VAE], { note: `"${UNET}` }));
    await put('m/b-cut.safetensors', fileWith(header, BigInt(header.length + 1)));
    await put('m/c-huge.safetensors', fileWith(header, (1n << 63n) + 5n));
    await put('m/d-long.safetensors', fileWith(header.padEnd((8 << 20) + 1)));
    await put('m/e-deep.safetensors', fileWith(`${'[{"a":'.repeat(200_000)}`));
    await put('m/f-null.safetensors', fileWith('null'));
    await put('m/g-empty.safetensors', '');
    await put('m/h-proto.safetensors', fileWith(`{"__proto__": {"${UNET}": 1}, "${VAE}": {}}`));
    await put('m/i.vae.safetensors', fileOf([UNET]));
    const kinds = (await listCheckpoints([at('m')])).map(({ name, kind }) => [name, kind]);
    expect(Object.fromEntries(kinds)).toEqual({
      'a-plain': 'VAE',
      'b-cut': 'model',
      'c-huge': 'model',
      'd-long': 'model',
      'e-deep': 'model',
      'f-null': 'model',
      'g-empty': 'model',
      'h-proto': 'VAE',
      'i.vae': 'VAE',
    });
  });

  it('is remembered until the file changes', async () => {
    const path = await put('m/one.safetensors', fileOf([UNET]));
    const known: KnownKinds = new Map();
    const kindNow = async () => (await listCheckpoints([at('m')], known))[0]?.kind;
    const since = new Date(1_700_000_000_000);
    await utimes(path, since, since);
    expect(await kindNow()).toBe('model');
    const changed = fileOf([VAE]);
    await put('m/one.safetensors', changed);
    await utimes(path, since, since);
    expect(await kindNow()).toBe('VAE');
    known.set(path, { stamp: `${changed.length} ${since.getTime()}`, kind: 'LoRA' });
    expect(await kindNow()).toBe('LoRA');
    await utimes(path, since, new Date(1_700_000_001_000));
    expect(await kindNow()).toBe('VAE');
  });
});

describe('a file that is no model', () => {
  it('is not taken for one by its name, and what it is is told', async () => {
    const path = await put('m/fine.safetensors', fileOf([VAE]));
    const lora = await put('m/style.safetensors', fileOf(['lora_unet_x.alpha']));
    const folders = [at('m')];
    await expect(findCheckpoint('Fine', folders, at())).rejects.toThrow(
      `there is no model named Fine in ${at('m')}: ${path} is a VAE, which --vae takes`,
    );
    await expect(findCheckpoint('style', folders, at())).rejects.toThrow(`${lora} is a LoRA, not a model`);
    const model = await put('m/x/fine.safetensors', fileOf([UNET]));
    const found = await findCheckpoint('fine', folders, at());
    expect(found.path).toBe(model);
    expect(await resolveVae('m/fine.safetensors', found, folders, at())).toBe(path);
  });

  it('is kept from the checkpoints that clients are shown, and a VAE is among the VAEs', async () => {
    await put('m/one.safetensors', fileOf([UNET]));
    const vae = await put('m/kl-f8.safetensors', fileOf([VAE]));
    await put('m/style.safetensors', fileOf(['lora_unet_x.alpha']));
    const catalog = new Catalog([at('m')], undefined);
    const names = (await catalog.entries()).map(({ model_name }) => model_name);
    expect(names).toContain('one');
    expect(names).not.toContain('kl-f8');
    expect(names).not.toContain('style');
    expect(await catalog.vaes()).toEqual([{ model_name: 'kl-f8.safetensors', filename: vae }]);
    expect(await catalog.find('kl-f8')).toBeUndefined();
  });
});
