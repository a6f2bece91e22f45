import { copyFile, readFile, writeFile } from 'node:fs/promises';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeTinyModel } from '../../scripts/make-tiny-model.mjs';
import { readImageInfo } from '../../src/image/codec.js';
import { insertPngRecord, readPngRecord } from '../../src/image/png-metadata.js';
import { decodeRecord, encodeRecord, type FileRecord } from '../../src/pipeline/picture-record.js';
import { hashPlan } from '../../src/pipeline/plan.js';
import { SAMPLERS } from '../../src/sampling/samplers.js';
import { CliSandbox } from '../support/cli.js';
import { createFakeEngine } from '../support/fake-native.js';
import { tinyModelPath } from '../support/tiny-model.js';

let box: CliSandbox;
let record: FileRecord;

const PROMPT = ['-p', 'a red fox', '-m', 'micro1', '--width', '64', '--height', '48', '--seed', '7', '--force', '-q'];
const make = (output: string, ...more: string[]) =>
  box.run([
    'txt2img',
    ...PROMPT,
    '--steps',
    '4',
    '--device',
    'reference',
    '--precision',
    'fp32',
    '-o',
    output,
    ...more,
  ]);
const verify = (...argv: string[]) => box.run(['verify', ...argv, '-q']);

beforeAll(async () => {
  box = await CliSandbox.create();
  await copyFile(await tinyModelPath('micro1'), box.path('models/micro1.safetensors'));
  await make('fox.png');
  record = decodeRecord(readPngRecord(await readFile(box.path('fox.png'))) ?? new Uint8Array(0));
});
afterAll(() => box.remove());

/** fox.png with another record before its own: the first one counts. */
async function rewritten(name: string, changes: Partial<FileRecord>): Promise<string> {
  const changed = insertPngRecord(await readFile(box.path('fox.png')), encodeRecord({ ...record, ...changes }));
  await writeFile(box.path(name), changed);
  return name;
}

/** A record whose plan was changed, the hash beside it too. */
function withPlan(changes: Partial<FileRecord['plan']>): Partial<FileRecord> {
  const plan = { ...record.plan, ...changes };
  return { plan, planSha256: hashPlan(plan) };
}

describe('verify', () => {
  it.each(['png', 'jpg', 'webp', 'avif'])(
    'calls a %s identical that was not touched, on other fp32 devices too',
    async (extension) => {
      const name = `untouched.${extension}`;
      await make(name, '--quality', '63');
      for (const device of ['reference', 'cpu']) {
        const { code, out, err } = await verify(name, '--device', device);
        expect(out).toMatch(new RegExp(`^${name}: identical: every latent and every pixel \\(${device} fp32 .*\\)\n$`));
        expect([code, err]).toEqual([0, '']);
      }
    },
  );

  it('finds the trails of every sampler on cpu that reference left, in any batch', { timeout: 120_000 }, async () => {
    const names: string[] = [];
    for (const { name, id } of SAMPLERS) {
      const steps = ['--steps', '3', '--batch-size', '2', '--sampler', name];
      const { out } = await make(`${id}/`, ...steps);
      names.push(...out.trim().split('\n').slice(1));
    }
    expect(names).toHaveLength(SAMPLERS.length);
    const { code, out } = await verify(...names, '--device', 'cpu', '--json');
    const { images, identical } = JSON.parse(out);
    expect(images.filter(({ verdict }: { verdict: string }) => verdict !== 'identical')).toEqual([]);
    expect([code, identical]).toEqual([0, true]);
  });

  it('says what a whole directory came to, and fails for one', async () => {
    const bad = await rewritten('bad.png', withPlan({ cfgScale: 3 }));
    const { code, out } = await verify('fox.png', bad, 'nowhere.png', 'fox.png');
    const lines = out.trim().split('\n');
    expect(code).toBe(1);
    expect(lines.map((line) => line.split(':').slice(0, 2).join(':'))).toEqual([
      'fox.png: identical',
      'bad.png: differs',
      'nowhere.png: cannot be made again',
      'fox.png: identical',
    ]);
    expect(lines[2]).toMatch(/nowhere.png: no such file or folder$/);
  });

  it('loads one model for pictures of one model', async () => {
    const engine = createFakeEngine();
    const options = { addon: engine.addon };
    await box.run(['txt2img', ...PROMPT, '--steps', '2', '--count', '3', '-o', 'fake/'], options);
    const before = engine.loads;
    const names = [1, 2, 3].map((i) => `fake/0000${i}-${6 + i}.png`);
    const { code, out } = await box.run(['verify', ...names], options);
    expect([code, out.split('identical').length - 1, engine.loads - before]).toEqual([0, 3, 1]);
  });
});

describe('the first step that differs', () => {
  const sigma = (at: number): Partial<FileRecord> =>
    withPlan({ sigmas: record.plan.sigmas.map((value, i) => (i === at ? Math.fround(value * 1.25) : value)) });
  const hashAt = (at: number): Partial<FileRecord> => ({
    trail: record.trail.map(({ steps, hashes }) => ({
      steps,
      hashes: hashes.map((hash, i) => (i === at ? 'f'.repeat(16) : hash)),
    })),
  });
  const cases: [what: string, changes: () => Partial<FileRecord>, place: string, reason: RegExp][] = [
    [
      'another seed',
      () => withPlan({ batches: [[8]] }),
      'at the start',
      /nothing here differs from what the record says/,
    ],
    ['another first sigma', () => sigma(0), 'at the start', /nothing here/],
    ['another guidance', () => withPlan({ cfgScale: 7.5 }), 'at step 1 of 4', /nothing here/],
    ['another sigma 3', () => sigma(3), 'at step 3 of 4', /nothing here/],
    [
      'a plan changed without its hash',
      () => ({ plan: { ...record.plan, cfgScale: 8 } }),
      'at step 1 of 4',
      /the plan in the picture was changed/,
    ],
    ['a changed hash', () => hashAt(2), 'at step 2 of 4', /the recorded hash was changed, not the run/],
    [
      'an older version of the numerics',
      () => ({ ...withPlan({ cfgScale: 2 }), numerics: 999, sdgen: '0.0.1' }),
      'at step 1 of 4',
      /version 999 of the numerics, and this is version \d+\n {2}it was made by sdgen 0.0.1/,
    ],
  ];
  it.each(cases)('of %s', async (_, changes, place, reason) => {
    const { code, out } = await verify(await rewritten('changed.png', changes()), '--device', 'cpu');
    expect(out).toContain(`differs: the latent leaves the recorded one ${place}`);
    expect(out).toMatch(reason);
    expect(code).toBe(1);
  });

  it('is told to programs', async () => {
    const { out } = await verify(await rewritten('changed.png', sigma(2)), '--json');
    const { identical, images } = JSON.parse(out);
    expect(identical).toBe(false);
    expect(images[0]).toMatchObject({ verdict: 'trail', basis: 'record', step: 2, steps: 4, pass: 1 });
  });

  it('of a model of another content, which is warned of', async () => {
    await makeTinyModel({
      path: box.path('models/other.safetensors'),
      arch: 'micro1',
      dtype: 'F16',
      seed: 8,
      threads: 1,
    });
    const { code, out, err } = await verify('fox.png', '--model', 'other');
    expect(out).toMatch(/at step 1 of 4: the model is [0-9a-f]{10}, and was [0-9a-f]{10} \(micro1\)/);
    expect(err).toMatch(/warning: fox.png was made with micro1 \([0-9a-f]{10}\), not with other/);
    expect(code).toBe(1);
  });
});

describe('pixels that differ', () => {
  it('by one level in one place are found, and that it was the file', async () => {
    const png = await readFile(box.path('fox.png'));
    const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
    data[100] = (data[100] ?? 0) ^ 1;
    const edited = await sharp(data, { raw: { width: info.width, height: info.height, channels: 3 } })
      .png()
      .toBuffer();
    await writeFile(box.path('edited.png'), insertPngRecord(edited, encodeRecord(record)));
    const { code, out } = await verify('edited.png');
    expect(out).toMatch(
      /edited.png: differs: its pixels are not those that were made \(0.000 of 255 .*\): the file was changed/,
    );
    expect(code).toBe(1);
  });

  it('are told from another decoder', async () => {
    const { out } = await verify(await rewritten('decoded.png', { pixelSha256: '0'.repeat(64) }));
    expect(out).toContain(
      'differs: the same latents, other pixels: the latents are the recorded ones: the decoder (VAE)',
    );
  });

  it('are found in a file of another size and in a JPEG that was saved again', async () => {
    const jpg = await readFile(box.path('untouched.jpg'));
    const info = await readImageInfo(jpg);
    await writeFile(box.path('small.jpg'), await sharp(jpg).keepExif().resize(32, 24).jpeg().toBuffer());
    await writeFile(box.path('again.jpg'), await sharp(jpg).keepExif().jpeg({ quality: 20 }).toBuffer());
    expect(info.record).toBeDefined();
    expect((await verify('small.jpg')).out).toContain('not those that were made (another size)');
    expect((await verify('again.jpg')).out).toMatch(/not those that were made \(\d+\.\d+ of 255 levels on average\)/);
  });
});

describe('a picture without a record', () => {
  it('is made again from its parameters, with the model of its hash, and so it is said', async () => {
    await make('bare.png', '--no-trail');
    expect(readPngRecord(await readFile(box.path('bare.png')))).toBeUndefined();
    const { code, out, err } = await verify('bare.png');
    expect(out).toMatch(/^bare.png: identical: every pixel, from its parameters text/);
    expect(err).toContain('warning: bare.png carries no record of how it was made');
    expect(code).toBe(0);
  });

  it('in a format that loses cannot be proved', async () => {
    await make('bare.jpg', '--no-trail');
    const { code, out } = await verify('bare.jpg');
    expect(out).toMatch(/bare.jpg: cannot be proved \(\d+\.\d+ of 255 levels on average\): a jpeg loses pixels/);
    expect(code).toBe(1);
  });

  it('nor parameters cannot be made again', async () => {
    await writeFile(
      box.path('plain.png'),
      await sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } })
        .png()
        .toBuffer(),
    );
    const { code, out } = await verify('plain.png');
    expect(out).toBe(
      'plain.png: cannot be made again: it carries neither a record nor parameters to make it again from\n',
    );
    expect(code).toBe(1);
  });
});

describe('a picture that cannot be verified here', () => {
  it('of a model that is not there says which', async () => {
    const changed = withPlan({ model: { ...record.plan.model, name: 'gone', sha256: 'e'.repeat(64) } });
    const { code, out } = await verify(await rewritten('gone.png', changed));
    expect(out).toMatch(/gone.png: cannot be made again: there is no model of hash eeeeeeeeee \("gone"\) in/);
    expect(code).toBe(1);
  });

  it('of a hostile record is refused in one line', async () => {
    const png = await readFile(box.path('fox.png'));
    const hostile = [
      Buffer.alloc(0),
      Buffer.alloc(5 << 20),
      Buffer.from('78da', 'hex'),
      Buffer.from(encodeRecord(record)).fill(0, 40, 60),
    ];
    for (const [i, bytes] of hostile.entries()) {
      await writeFile(box.path(`hostile${i}.png`), insertPngRecord(png, bytes));
      const { code, out } = await verify(`hostile${i}.png`);
      expect(out).toMatch(/^hostile\d.png: cannot be made again: the picture's record cannot be used: [^\n]*\n$/);
      expect(code).toBe(1);
    }
  });

  it('of a precision that is not here says so', async () => {
    const changed = withPlan({ device: { name: 'cpu', precision: 'fp16' } });
    const { code, out } = await verify(await rewritten('half.png', changed));
    expect(out).toMatch(/half.png: cannot be made again: precision fp16/);
    expect(code).toBe(1);
  });

  it('refuses to begin without a picture', async () => {
    expect(await box.run(['verify'])).toMatchObject({ code: 2, err: expect.stringContaining('images') });
  });
});
