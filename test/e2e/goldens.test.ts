import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OptionStore } from '../../src/context/options.js';
import type { ImageToImageInput, PixelInput } from '../../src/request/img2img.js';
import type { TextToImageInput } from '../../src/request/txt2img.js';
import { CachedModelProvider } from '../../src/runtime/model-provider.js';
import { ProcessingRunner } from '../../src/runtime/processing-runner.js';
import { SCHEDULERS } from '../../src/sampling/schedules.js';
import { draw, scene } from '../support/pictures.js';
import { type TinyArch, tinyModelPath } from '../support/tiny-model.js';

/**
 * SHA-256 of final latents and pixels of the tiny models on the reference path. A change of these bits is a change of what
 * every user's seeds mean: `SDGEN_UPDATE_GOLDENS=1 npx vitest run test/e2e/goldens.test.ts` writes them anew, and the
 * commit says why. Not where CI is set.
 */
const FILE = new URL('../fixtures/goldens.json', import.meta.url);
const UPDATE = process.env.SDGEN_UPDATE_GOLDENS === '1' && !process.env.CI;

interface Golden {
  readonly latents: readonly string[];
  readonly pixels: readonly string[];
}

const BASE = { prompt: 'a red fox in the snow', width: 64, height: 64, steps: 3, seed: 7 };
const LONG = `${'a castle on a hill, '.repeat(14)}with a (red:1.3) flag, [people], BREAK at night`;

/** A run, of micro1 unless `arch` says another model. */
type Case = (TextToImageInput | ImageToImageInput) & { readonly arch?: TinyArch; readonly options?: object };

const CASES: Record<string, Case> = {
  'noise gpu': { ...BASE, sampler: 'Euler a', rng: 'gpu' },
  'noise cpu': { ...BASE, sampler: 'Euler a', rng: 'cpu' },
  'large seed': { ...BASE, seed: Number.MAX_SAFE_INTEGER },
  'odd size': { ...BASE, width: 72, height: 56 },
  'two chunks': { ...BASE, prompt: LONG },
  'two chunks against one': { ...BASE, prompt: LONG, negativePrompt: 'blurry', cfgScale: 4.5 },
  'empty prompt': { ...BASE, prompt: '' },
  'no guidance': { ...BASE, cfgScale: 1 },
  'clip skip': { ...BASE, clipSkip: 2 },
  'one step': { ...BASE, steps: 1 },
  'in tiles': { ...BASE, width: 600, height: 32, vaeTiling: 'on' },
  'prompt schedule': { ...BASE, prompt: '[a red fox:a (castle:1.3):0.4] in the snow', negativePrompt: '[blurry|dark]' },
  'composed prompts': { ...BASE, prompt: `${LONG} AND a red fox :0.6 AND [a|b|c]:-0.2`, negativePrompt: 'blurry' },
  'batch of three': { ...BASE, sampler: 'Euler a', batchSize: 3 },
};
for (const sampler of ['DPM++ SDE', 'DPM++ 2M SDE', 'DPM++ 2M SDE Heun', 'DPM++ 3M SDE', 'Restart', 'LCM']) {
  CASES[`${sampler}, automatic`] = { ...BASE, sampler };
}
for (const sampler of ['DPM fast', 'DPM adaptive', 'DDIM', 'DDIM CFG++', 'PLMS', 'UniPC']) {
  CASES[sampler] = { ...BASE, sampler };
}
Object.assign(CASES, {
  'Restart that restarts': { ...BASE, sampler: 'Restart', steps: 20 },
  'DDIM, eta 1': { ...BASE, sampler: 'DDIM', eta: 1 },
  'DPM++ SDE, noise cpu': { ...BASE, sampler: 'DPM++ SDE', rng: 'cpu' },
  'Euler with churn': { ...BASE, sampler: 'Euler', sChurn: 8, sTmax: 5 },
  'own sigmas': { ...BASE, sigmas: [12, 4.5, 1, 0] },
  variation: { ...BASE, subseed: 99, subseedStrength: 0.3, batchSize: 2 },
  'seed resize': { ...BASE, seedResizeFromW: 40, seedResizeFromH: 96 },
} satisfies Record<string, TextToImageInput>);
const HIRES = { ...BASE, width: 48, hires: true, hiresScale: 1.5, hiresSteps: 2 };
Object.assign(CASES, {
  'second pass': { ...HIRES, batchSize: 2 },
  'second pass, bicubic, by DPM++ SDE': {
    ...HIRES,
    hiresUpscaler: 'Latent (bicubic antialiased)',
    hiresSampler: 'DPM++ SDE',
  },
  'second pass, by DDIM': {
    ...HIRES,
    hiresSteps: 4,
    hiresSampler: 'DDIM',
    hiresPrompt: 'a grey wolf',
    hiresCfgScale: 4,
  },
  'second pass through pixels': { ...HIRES, hiresUpscaler: 'Lanczos', hiresResizeX: 80, hiresResizeY: 80 },
} satisfies Record<string, TextToImageInput>);
const ask = (width: number, height: number, [left, top, right, bottom]: readonly [number, number, number, number]) =>
  draw(width, height, (x, y) => (x >= left && x < right && y >= top && y < bottom ? 255 : 0)) as PixelInput;
const IMAGE = { prompt: 'a red fox in the snow', steps: 4, seed: 7, initImages: [scene(64, 64) as PixelInput] };
const MASKED = { ...IMAGE, mask: ask(64, 64, [12, 20, 44, 52]), maskBlur: 2 };
const CLEAR = draw(64, 64, (x, y, c) => (c === 3 ? Math.min(255, x * 8) : (x + y * 3 + c * 50) % 256), 4) as PixelInput;
/** Runs that begin with a picture. */
const IMAGE_CASES: Record<string, Case> = {
  'picture by Euler': { ...IMAGE, sampler: 'Euler' },
  'picture by Euler a, noise cpu': { ...IMAGE, sampler: 'Euler a', rng: 'cpu', denoisingStrength: 0.5 },
  'picture by DPM++ SDE': { ...IMAGE, sampler: 'DPM++ SDE' },
  'picture by DDIM': { ...IMAGE, sampler: 'DDIM', steps: 6 },
  'picture, exact steps': { ...IMAGE, sampler: 'Heun', denoisingStrength: 0.4, options: { img2imgFixSteps: true } },
  'picture with more noise': { ...IMAGE, initialNoiseMultiplier: 1.1, options: { img2imgExtraNoise: 0.1 } },
  'picture, transparent': { ...IMAGE, initImages: [CLEAR], options: { img2imgBackgroundColor: '#204060' } },
  'picture, cropped': {
    ...IMAGE,
    initImages: [scene(90, 50) as PixelInput],
    width: 64,
    height: 64,
    resizeMode: 'crop',
  },
  'picture, filled': { ...IMAGE, initImages: [scene(90, 50) as PixelInput], width: 64, height: 64, resizeMode: 'fill' },
  'picture, latent': {
    ...IMAGE,
    initImages: [scene(90, 50) as PixelInput],
    width: 64,
    height: 64,
    resizeMode: 'latent',
  },
  'picture, its colours': { ...IMAGE, options: { img2imgColorCorrection: true } },
  'pictures in a batch': {
    ...IMAGE,
    initImages: [scene(64, 64), scene(60, 70)] as PixelInput[],
    width: 64,
    height: 64,
    batchSize: 2,
  },
  'picture in tiles': { ...IMAGE, initImages: [scene(600, 32) as PixelInput], steps: 2, vaeTiling: 'on' },
  'mask, fill': { ...MASKED, maskedContent: 'fill' },
  'mask, original': { ...MASKED, maskedContent: 'original' },
  'mask, noise': { ...MASKED, maskedContent: 'noise', sampler: 'Euler a' },
  'mask, nothing': { ...MASKED, maskedContent: 'nothing', denoisingStrength: 1 },
  'mask, inverted and soft': { ...MASKED, invertMask: true, maskRound: false, maskBlurX: 5, maskBlurY: 1 },
  'mask of another size': { ...MASKED, mask: ask(48, 96, [8, 8, 40, 60]) },
  'mask, by DDIM': { ...MASKED, sampler: 'DDIM' },
  'only masked': {
    ...MASKED,
    initImages: [scene(160, 120) as PixelInput],
    mask: ask(160, 120, [70, 40, 110, 70]),
    width: 64,
    height: 64,
    inpaintArea: 'masked',
    inpaintPadding: 12,
  },
  'only masked, fill': {
    ...MASKED,
    initImages: [scene(160, 120) as PixelInput],
    mask: ask(160, 120, [0, 90, 30, 120]),
    width: 64,
    height: 48,
    inpaintArea: 'masked',
    inpaintPadding: 8,
    maskedContent: 'fill',
    options: { img2imgColorCorrection: true },
  },
  'inpainting model': { ...MASKED, arch: 'micro1-inpaint', options: { inpaintingMaskWeight: 0.75 } },
  'inpainting model, from text': { ...BASE, arch: 'micro1-inpaint' },
  'editing model': { ...IMAGE, arch: 'micro1-edit', imageCfgScale: 1.8 },
};
Object.assign(CASES, IMAGE_CASES, {
  'second pass through pixels, in tiles': {
    ...HIRES,
    width: 400,
    height: 32,
    hiresUpscaler: 'Lanczos',
    vaeTiling: 'on',
  },
  'second pass through pixels, nearest': { ...HIRES, hiresUpscaler: 'Nearest', batchSize: 2, sampler: 'Euler a' },
} satisfies Record<string, Case>);
for (const scheduler of SCHEDULERS.map(({ name }) => name).slice(4)) {
  CASES[`Euler, ${scheduler}`] = { ...BASE, sampler: 'Euler', scheduler };
}
for (const sampler of ['Euler', 'Euler a', 'Heun', 'DPM++ 2M', 'DPM++ 2S a', 'LMS', 'DPM2', 'DPM2 a']) {
  for (const scheduler of ['automatic', 'uniform', 'karras', 'exponential']) {
    CASES[`${sampler}, ${scheduler}`] = { ...BASE, sampler, scheduler };
  }
}

const goldens: Record<string, Golden> = existsSync(FILE) ? JSON.parse(readFileSync(FILE, 'utf8')) : {};
const fresh: Record<string, Golden> = {};
const provider = new CachedModelProvider();
const runner = new ProcessingRunner({ provider, options: new OptionStore() });
const models = new Map<TinyArch, string>();

function settings(device: string, threads: number, arch: TinyArch = 'micro1', overrideOptions: object = {}) {
  const facts = { model: models.get(arch), modelsDirs: [], cwd: '/', overrides: {} };
  return { commandOptions: { ...facts, device, precision: 'fp32', threads }, overrideOptions };
}

async function generate({ arch, options, ...input }: Case, threads = 2, device = 'reference'): Promise<Golden> {
  const { images } = await runner.run(input, settings(device, threads, arch, options));
  return {
    latents: images.map(({ latentSha256 }) => latentSha256),
    pixels: images.map(({ pixelSha256 }) => pixelSha256),
  };
}

beforeAll(async () => {
  for (const arch of ['micro1', 'micro1-inpaint', 'micro1-edit'] as const) models.set(arch, await tinyModelPath(arch));
});

afterAll(async () => {
  await provider.dispose();
  if (!UPDATE) return;
  // A run of some of the cases keeps the others; those that are no cases any more go.
  const merged = Object.keys(CASES).flatMap((name) => {
    const golden = fresh[name] ?? goldens[name];
    return golden === undefined ? [] : [[name, golden] as const];
  });
  writeFileSync(FILE, `${JSON.stringify(Object.fromEntries(merged), null, 2)}\n`);
});

describe('goldens', () => {
  for (const [name, input] of Object.entries(CASES)) {
    it(name, async () => {
      const golden = await generate(input);
      fresh[name] = golden;
      if (UPDATE) return;
      expect(goldens[name], 'no golden is stored for this case').toBeDefined();
      expect(golden).toEqual(goldens[name]);
    });
  }

  it('are stored for these cases and no others', () => {
    const stored = UPDATE ? { ...goldens, ...fresh } : goldens;
    expect(Object.keys(stored).sort()).toEqual(Object.keys(CASES).sort());
  });

  it('are not all the same', async () => {
    const latents = Object.entries(UPDATE ? { ...goldens, ...fresh } : goldens).flatMap(
      ([, golden]) => golden.latents[0] ?? [],
    );
    // "automatic" equals the sampler's own schedule, the batch starts with the seed of a single one, and so on.
    expect(new Set(latents).size).toBeGreaterThanOrEqual(20);
  });

  it('all differ where they begin with a picture', () => {
    const stored = UPDATE ? { ...goldens, ...fresh } : goldens;
    const pixels = Object.keys(IMAGE_CASES).map((name) => stored[name]?.pixels[0]);
    expect(new Set(pixels).size).toBe(pixels.length);
  });
});

describe('tiles', () => {
  it('leave the latent and change the pixels little', async () => {
    const run = (vaeTiling: 'on' | 'off') =>
      runner.run({ ...BASE, ...CASES['in tiles'], vaeTiling }, settings('reference', 2));
    const [tiled, whole] = [(await run('on')).images[0], (await run('off')).images[0]];
    expect(tiled?.latentSha256).toBe(whole?.latentSha256);
    expect(tiled?.pixelSha256).not.toBe(whole?.pixelSha256);
    // Norms and attention see a tile instead of the picture; on random weights that is worth a few levels of 255.
    const differences = [...(tiled?.pixels ?? [])].map((value, i) => Math.abs(value - (whole?.pixels[i] ?? 0)));
    expect(differences.reduce((sum, value) => sum + value, 0) / differences.length).toBeLessThan(8);
  });
});

describe('what is encoded in tiles', () => {
  it('is near what is encoded whole, and the picture says that it was', async () => {
    const [name, input] = ['picture in tiles', CASES['picture in tiles'] ?? BASE];
    const whole = await runner.run({ ...input, vaeTiling: 'off' }, settings('reference', 2));
    const tiled = await runner.run(input, settings('reference', 2));
    expect(whole.images[0]?.latentSha256, name).not.toBe(tiled.images[0]?.latentSha256);
    expect(tiled.prepared.plan.start?.tiling).toEqual({ tile: 64, overlap: 16 });
    expect(tiled.images[0]?.infotext).toContain('VAE tiling: on');
    const off = [...(tiled.images[0]?.pixels ?? [])].map((value, i) =>
      Math.abs(value - (whole.images[0]?.pixels[i] ?? 0)),
    );
    // As above: random weights, whose norms see a tile instead of the picture.
    expect(off.reduce((sum, value) => sum + value, 0) / off.length).toBeLessThan(12);
  });
});

describe('the same bytes', () => {
  it('whether a picture is made in a batch, in a count, or alone', async () => {
    const batch = await generate({ ...BASE, sampler: 'Euler a', batchSize: 3 });
    const count = await generate({ ...BASE, sampler: 'Euler a', count: 3 });
    expect(count).toEqual(batch);
    for (const [i, latent] of batch.latents.entries()) {
      const alone = await generate({ ...BASE, sampler: 'Euler a', seed: BASE.seed + i });
      expect(alone).toEqual({ latents: [latent], pixels: [batch.pixels[i]] });
    }
  });

  it.each([
    { sampler: 'DPM++ SDE' },
    { sampler: 'DPM adaptive' },
    { sampler: 'DDIM', eta: 1 },
    { sampler: 'Euler a', subseed: 40, subseedStrength: 0.4 },
    { seedResizeFromW: 40, seedResizeFromH: 96 },
  ])('in a batch and alone: %j', async (change) => {
    const input = { ...BASE, ...change };
    const batch = await generate({ ...input, batchSize: 3 });
    expect(new Set(batch.latents).size).toBe(3);
    for (const [i, latent] of batch.latents.entries()) {
      const seeds = change.subseed === undefined ? { seed: BASE.seed + i } : { subseed: change.subseed + i };
      expect(await generate({ ...input, ...seeds })).toEqual({ latents: [latent], pixels: [batch.pixels[i]] });
    }
  });

  it('whether a prompt is written plainly or as a schedule, a weight or a comment that changes nothing', async () => {
    const plain = await generate(BASE);
    for (const prompt of [
      '[a red fox:a red fox:0.5] in the snow',
      '[a|a] red fox in the [:snow:0]',
      'a red fox in the snow[ at night:3]', // the first stage lasts a call longer
      'a red fox in the snow # at night',
    ]) {
      expect(await generate({ ...BASE, prompt }), prompt).toEqual(plain);
    }
    const weighted = await generate({ ...BASE, prompt: `${BASE.prompt} :2`, cfgScale: 3.5 });
    expect(weighted).toEqual(plain);
    expect(await generate({ ...BASE, prompt: 'a red fox in the snow[ at night:1]' })).not.toEqual(plain);
  });

  it('with 1, 2 and 3 threads', async () => {
    const input = { ...BASE, width: 72, height: 56, batchSize: 2 };
    const one = await generate(input, 1);
    expect(await generate(input, 2)).toEqual(one);
    expect(await generate(input, 3)).toEqual(one);
  });

  it.each([1, 2, 3])('on the cpu device with %i threads', async (threads) => {
    for (const name of [
      'noise gpu',
      'in tiles',
      'odd size',
      'two chunks against one',
      'no guidance',
      'batch of three',
      'Heun, karras',
    ]) {
      expect(await generate(CASES[name] ?? BASE, threads, 'cpu'), name).toEqual(goldens[name]);
    }
  });

  it('on the cpu device, of what begins with a picture', async () => {
    const throughPixels = Object.keys(CASES).filter((name) => name.startsWith('second pass through pixels'));
    for (const name of [...Object.keys(IMAGE_CASES), ...throughPixels]) {
      expect(await generate(CASES[name] ?? BASE, 2, 'cpu'), name).toEqual(goldens[name]);
    }
  });

  it('in interleaved runs with different options', async () => {
    const inputs = [
      BASE,
      { ...BASE, sampler: 'Heun', negativePrompt: 'x' },
      { ...BASE, rng: 'cpu' as const, clipSkip: 2 },
    ];
    const alone: Golden[] = [];
    for (const input of inputs) alone.push(await generate(input));
    expect(await Promise.all(inputs.map((input) => generate(input)))).toEqual(alone);
  });
});
