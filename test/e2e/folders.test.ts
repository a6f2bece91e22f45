import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { makeTinyFolder, makeTinyModel } from '../../scripts/make-tiny-model.mjs';
import { loadAddon } from '../../src/native/load.js';
import type { ModelOverrides } from '../../src/native/types.js';
import { CliSandbox } from '../support/cli.js';
import { EditableSafetensors } from '../support/edit-safetensors.js';
import { fixturePath, relativeError } from '../support/eval.js';
import { readSafetensors } from '../support/safetensors.js';
import { tinyFolderPath, tinyModelPath } from '../support/tiny-model.js';

const scratch = mkdtempSync(join(tmpdir(), 'sdgen-folders-'));
let box: CliSandbox;
beforeAll(async () => {
  box = await CliSandbox.create();
});
afterAll(async () => {
  rmSync(scratch, { recursive: true, force: true });
  await box.remove();
});

let copies = 0;
/** A folder of diffusers of its own to damage. */
async function copyOf(shards: number): Promise<string> {
  copies += 1;
  const copy = join(scratch, `copy-${copies}`);
  cpSync(await tinyFolderPath('micro1', shards), copy, { recursive: true });
  return copy;
}

async function open(path: string, options: { vae?: string; overrides?: ModelOverrides } = {}) {
  return (await loadAddon()).openModel({ path, device: 'reference', precision: 'fp32', threads: 1, ...options });
}

const runSchema = z.object({ files: z.array(z.object({ pixelSha256: z.string() })) });
async function pixels(model: string, more: readonly string[] = []): Promise<string | undefined> {
  const argv = ['txt2img', '--model', model, '--prompt', 'a red fox, snow', '--steps', '2', '--seed', '3', '--json'];
  copies += 1;
  const sized = ['--width', '64', '--height', '64', '--precision', 'fp32', '--output', `${copies}.png`, ...more];
  const { code, out, err } = await box.run([...argv, ...sized]);
  expect(code, err).toBe(0);
  return runSchema.parse(JSON.parse(out)).files[0]?.pixelSha256;
}

describe('a folder of diffusers', () => {
  it.each(['micro1', 'micro2'] as const)('gives the very pixels of the single file: %s', async (arch) => {
    expect(await pixels(await tinyFolderPath(arch, arch === 'micro1' ? 1 : 3))).toBe(
      await pixels(await tinyModelPath(arch)),
    );
  });

  it('may hold its fp16 variant alone, in one file or in shards with either name of their index', async () => {
    const parts = [
      ['unet', 'diffusion_pytorch_model'],
      ['vae', 'diffusion_pytorch_model'],
      ['text_encoder', 'model'],
    ] as const;
    const expected = await pixels(await tinyFolderPath('micro1'));
    const whole = await copyOf(1);
    for (const [part, stem] of parts) {
      renameSync(join(whole, part, `${stem}.safetensors`), join(whole, part, `${stem}.fp16.safetensors`));
    }
    expect(await pixels(whole)).toBe(expected);
    for (const [k, indexName] of ['.safetensors.index.fp16.json', '.fp16.safetensors.index.json'].entries()) {
      const split = await copyOf(3);
      for (const [part, stem] of parts) {
        const index = join(split, part, `${stem}.safetensors.index.json`);
        const json = JSON.parse(readFileSync(index, 'utf8')) as { weight_map: Record<string, string> };
        const named = (name: string): string => name.replace(stem, `${stem}.fp16`);
        for (const name of new Set(Object.values(json.weight_map))) {
          renameSync(join(split, part, name), join(split, part, named(name)));
        }
        const map = Object.fromEntries(Object.entries(json.weight_map).map(([key, name]) => [key, named(name)]));
        rmSync(index);
        writeFileSync(join(split, part, `${stem}${indexName}`), JSON.stringify({ ...json, weight_map: map }));
      }
      expect([k, await pixels(split)]).toEqual([k, expected]);
    }
  });

  it('is read in full precision where both are there, and never from a pickle', async () => {
    const both = await copyOf(1);
    writeFileSync(join(both, 'unet/diffusion_pytorch_model.fp16.safetensors'), 'not a model');
    expect(await pixels(both)).toBe(await pixels(await tinyFolderPath('micro1')));
    const pickled = await copyOf(1);
    const weights = join(pickled, 'unet/diffusion_pytorch_model');
    renameSync(`${weights}.safetensors`, `${weights}.fp16.bin`);
    await expect(open(pickled)).rejects.toThrow(/pickle \(diffusion_pytorch_model\.fp16\.bin\)/);
  });

  it('is read with its own vocabulary', async () => {
    const folder = await copyOf(1);
    const path = join(folder, 'tokenizer/vocab.json');
    const ids = JSON.parse(readFileSync(path, 'utf8')) as Record<string, number>;
    const [fox, snow] = [ids['fox</w>'], ids['snow</w>']];
    writeFileSync(path, JSON.stringify({ ...ids, 'fox</w>': snow, 'snow</w>': fox }));
    expect(await pixels(folder)).not.toBe(await pixels(await tinyFolderPath('micro1')));
  });

  it('is listed and inspected as one model', async () => {
    const folder = await copyOf(1);
    const list = await box.run(['models', 'list', '--models-dir', scratch, '--json']);
    const { models } = JSON.parse(list.out) as { models: { name: string; isFolder: boolean }[] };
    expect(models.filter(({ name }) => folder.endsWith(name))).toMatchObject([{ isFolder: true }]);
    const { code, out } = await box.run(['models', 'inspect', folder]);
    expect([code, out]).toEqual([0, expect.stringContaining('epsilon (config)')]);
  });

  it.each([
    ['a path that leads out', '../../vae/diffusion_pytorch_model.safetensors', /not one of its own folder/],
    ['an absolute path', '/etc/passwd', /not one of its own folder/],
    ['a file of another kind', 'config.json', /not a \.safetensors file/],
    ['a shard that is missing', 'gone.safetensors', /not there: gone\.safetensors/],
  ])('refuses an index with %s', async (_, name, reason) => {
    const folder = await copyOf(3);
    const index = join(folder, 'unet/diffusion_pytorch_model.safetensors.index.json');
    const json = JSON.parse(readFileSync(index, 'utf8')) as { weight_map: Record<string, string> };
    json.weight_map['conv_in.weight'] = name;
    writeFileSync(index, JSON.stringify(json));
    await expect(open(folder)).rejects.toThrow(reason);
  });

  it.each([
    ['unet/config.json', '{', /is not the JSON it should be/],
    ['unet/config.json', '{"attention_head_dim": 7}', /7 UNet heads do not divide/],
    ['text_encoder/config.json', '{"hidden_act": "relu"}', /"relu"; built: quick_gelu, gelu/],
    ['scheduler/scheduler_config.json', '{"prediction_type": "sample"}', /"sample"; built: epsilon/],
    ['scheduler/scheduler_config.json', '{"beta_schedule": "cosine"}', /"cosine"; built: scaled_linear/],
    ['model_index.json', '{"_class_name": "FluxPipeline"}', /"FluxPipeline"; built: SD/],
  ])('refuses %s of %s', async (file, text, reason) => {
    const folder = await copyOf(1);
    writeFileSync(join(folder, file), text);
    await expect(open(folder)).rejects.toThrow(reason);
  });
});

describe('a VAE of another file', () => {
  it('changes the pixels, and is the same in every layout', async () => {
    const model = await tinyModelPath('micro2');
    // Another seed: the two architectures' VAEs are the same.
    const [whole, folder] = [join(scratch, 'seed8.safetensors'), join(scratch, 'seed8')];
    await makeTinyModel({ path: whole, arch: 'micro1', seed: 8, threads: 1 });
    await makeTinyFolder({ path: folder, arch: 'micro1', seed: 8, threads: 1 });
    const other = await pixels(model, ['--vae', whole]);
    expect(other).not.toBe(await pixels(model));
    expect(await pixels(model, ['--vae', join(folder, 'vae')])).toBe(other);
    expect(await pixels(model, ['--vae', join(folder, 'vae/diffusion_pytorch_model.safetensors')])).toBe(other);
    const alone = new EditableSafetensors(whole);
    for (const name of [...alone.entries.keys()]) {
      const body = alone.bytes(name);
      const entry = alone.entries.get(name);
      alone.remove(name);
      const below = /^first_stage_model\.(.*)$/.exec(name)?.[1];
      if (below !== undefined && entry !== undefined) alone.set(below, entry.dtype, entry.shape, body);
    }
    expect(await pixels(model, ['--vae', alone.write(join(scratch, 'vae.safetensors'))])).toBe(other);
  });

  it('must be one', async () => {
    const text = join(await tinyFolderPath('micro1'), 'text_encoder/model.safetensors');
    await expect(open(await tinyModelPath(), { vae: text })).rejects.toThrow(/not a VAE/);
  });
});

describe('what a file says of its noise', () => {
  const alphas = Float32Array.from({ length: 1000 }, (_, i) => 0.999 - 0.99 * (i / 999));
  async function noiseOf(change: (file: EditableSafetensors) => void, overrides: ModelOverrides = {}) {
    const file = new EditableSafetensors(await tinyModelPath());
    change(file);
    copies += 1;
    const model = await open(file.write(join(scratch, `${copies}.safetensors`)), { overrides });
    const { noise } = model.describe();
    await model.close();
    return noise;
  }

  it('is its stored table, unless rounding has spoilt it', async () => {
    const stored = await noiseOf((file) => file.setFloats('alphas_cumprod', [1000], alphas));
    expect(stored.origin).toBe('weights');
    expect([...stored.alphasCumprod]).toEqual([...alphas]);
    const spoilt = await noiseOf((file) => file.setFloats('alphas_cumprod', [1000], alphas.with(0, 1)));
    expect(spoilt.origin).toBe('default');
    expect(spoilt.alphasCumprod[0]).toBeCloseTo(1 - 0.00085, 14);
    await expect(noiseOf((file) => file.setFloats('alphas_cumprod', [2], [0.5, 0.4]))).rejects.toThrow(/1000 floats/);
  });

  it.each(['BF16', 'F16'] as const)(
    'is its stored table in %s too, as rounded, where that still falls from below 1',
    async (dtype) => {
      const bits = new Uint32Array(1);
      const float = new Float32Array(bits.buffer);
      const rounded = (value: number): [bits: number, value: number] => {
        float[0] = value;
        const [word = 0] = bits;
        // To nearest even; of F16 only normal numbers below 1 are here.
        const drop = dtype === 'BF16' ? 16 : 13;
        const half = (1 << (drop - 1)) - 1 + ((word >>> drop) & 1);
        const kept = (word + half) >>> drop;
        bits[0] = kept << drop;
        return [dtype === 'BF16' ? kept : kept - ((127 - 15) << 10), float[0]];
      };
      const noise = async (table: readonly number[]) => {
        const body = Buffer.alloc(2000);
        const values = table.map((value, i) => {
          const [word, kept] = rounded(value);
          body.writeUInt16LE(word, 2 * i);
          return kept;
        });
        return { values, ...(await noiseOf((file) => file.set('alphas_cumprod', dtype, [1000], body))) };
      };
      const usable = await noise([...alphas].map((value) => 0.98 * value));
      expect(usable.origin).toBe('weights');
      expect([...usable.alphasCumprod]).toEqual(usable.values);
      const usual = [...(await noiseOf(() => undefined)).alphasCumprod];
      const stored = await noise(usual);
      // The first of them, 0.99915, is 1 in BF16: such a table has no noise there.
      expect(stored.values[0] === 1).toBe(dtype === 'BF16');
      expect(stored.origin).toBe(dtype === 'BF16' ? 'default' : 'weights');
      expect([...stored.alphasCumprod]).toEqual(dtype === 'BF16' ? usual : stored.values);
    },
  );

  it('is rescaled to zero terminal SNR by flag or marker', async () => {
    const usual = await noiseOf(() => undefined);
    const marked = await noiseOf((file) => file.set('ztsnr', 'F32', [0], Buffer.alloc(0)));
    const asked = await noiseOf(() => undefined, { zeroTerminalSnr: true });
    expect(marked.zeroTerminalSnr).toEqual({ value: true, origin: 'weights' });
    expect(asked.zeroTerminalSnr).toEqual({ value: true, origin: 'flag' });
    expect(asked.alphasCumprod).toEqual(marked.alphasCumprod);
    const roots = usual.alphasCumprod.map(Math.sqrt);
    const [first = 0, last = 0] = [roots[0], roots[999]];
    for (const [i, root] of roots.entries()) {
      const expected = i === 999 ? 4.8973451890853435e-8 : ((root - last) * (first / (first - last))) ** 2;
      expect(Math.abs((asked.alphasCumprod[i] ?? 0) - expected)).toBeLessThan(1e-15);
    }
  });
});

describe('what a config beside a checkpoint says', () => {
  it.each([
    ['yaml', 'model:\n  target: x\n  params:\n    parameterization: "v"  # v\n', 'v_prediction', 'config'],
    [
      'yaml',
      'model:\n  params:\n    timesteps: 1000\n    unet_config:\n      params:\n        x: 1\n',
      'epsilon',
      'config',
    ],
    ['yaml', 'notes: 1\n', 'probe', 'default'],
    ['json', '{"prediction_type": "v_prediction"}', 'v_prediction', 'config'],
    ['json', '{"description": "mine"}', 'probe', 'default'],
  ])('%s %j', async (extension, text, value, origin) => {
    copies += 1;
    const file = new EditableSafetensors(await tinyModelPath('micro2'));
    file.metadata = {};
    const path = file.write(join(scratch, `beside-${copies}.safetensors`));
    writeFileSync(path.replace(/safetensors$/, extension), text);
    const model = await open(path);
    expect(model.describe().predictionType).toEqual({ value, origin });
    await model.close();
  });
});

describe('encode', () => {
  it.each(['micro1', 'micro2'] as const)('gives the moments of PyTorch: %s', async (arch) => {
    const fixture = readSafetensors(fixturePath(`${arch}_model.safetensors`));
    const { data, shape } = fixture.get('vae.image');
    const [height = 0, width = 0] = shape.slice(2);
    const pixelsOf = width * height;
    const image = Float32Array.from(
      { length: data.length },
      (_, i) => data[(i % 3) * pixelsOf + Math.floor(i / 3)] ?? 0,
    );
    const model = await open(await tinyModelPath(arch));
    const { moments } = await model.encode({ images: [{ data: image, width, height }] }).promise;
    expect(moments.retriedInFp32).toBe(false);
    for (const name of ['mean', 'logvar'] as const) {
      const ours = moments[name];
      const expected = fixture.get(`vae.${name}`);
      // Ten times what float32 arithmetic of the fixture's own code loses.
      expect(relativeError({ dtype: 'F32', shape: expected.shape, data: ours.data }, expected)).toBeLessThan(1.2e-5);
    }
    const levels = Uint8Array.from({ length: 8 * 8 * 3 }, (_, i) => (i * 37) % 256);
    const colours = Float32Array.from(levels, (level) => Math.fround(2 * Math.fround(level / 255)) - 1);
    const [bytes, floats] = await Promise.all(
      [levels, colours].map((some) => model.encode({ images: [{ data: some, width: 8, height: 8 }] }).promise),
    );
    expect(bytes?.moments).toEqual(floats?.moments);
    const odd = { data: new Uint8Array(12 * 8 * 3), width: 12, height: 8 };
    await expect(model.encode({ images: [odd] }).promise).rejects.toThrow(/multiples of 8; got 12x8/);
    await model.close();
  });

  it('says what is missing where a file has no encoder, which pictures from text do without', async () => {
    const file = new EditableSafetensors(await tinyModelPath());
    for (const name of [...file.entries.keys()]) if (name.includes('first_stage_model.encoder')) file.remove(name);
    const model = await open(file.write(join(scratch, 'decoder-only.safetensors')));
    expect(model.describe().vae.hasEncoder).toBe(false);
    const image = { data: new Uint8Array(8 * 8 * 3), width: 8, height: 8 };
    await expect(model.encode({ images: [image] }).promise).rejects.toThrow(/vae\.encoder\.conv_in\.weight is missing/);
    await model.close();
  });
});
