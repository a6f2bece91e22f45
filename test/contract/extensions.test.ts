import { describe, expect, it } from 'vitest';
import { OptionStore } from '../../src/context/options.js';
import { DEPRECATED_HOOKS, EXTENSION_API_VERSION, type Extension, HOOK_NAMES } from '../../src/extensions/hooks.js';
import { ExtensionRegistry } from '../../src/extensions/registry.js';
import { resolveCommandOptions } from '../../src/runtime/command-options.js';
import { CachedModelProvider } from '../../src/runtime/model-provider.js';
import { ProcessingRunner } from '../../src/runtime/processing-runner.js';
import { tinyModelPath } from '../support/tiny-model.js';

const REQUEST = { prompt: 'a red fox', width: 64, height: 64, steps: 2, seed: 7, sampler: 'Euler' };

/** A run with these extensions on the real engine. */
async function run(hooks: readonly Extension['hooks'][], request: object = REQUEST) {
  const reports: string[] = [];
  const extensions = new ExtensionRegistry((message) => reports.push(message));
  for (const [i, some] of hooks.entries()) extensions.register({ name: `e${i}`, apiVersion: 1, hooks: some });
  const provider = new CachedModelProvider();
  const model = await tinyModelPath();
  const commandOptions = resolveCommandOptions(
    { model, device: 'reference', threads: 1 },
    { cwd: process.cwd(), env: {} },
  );
  const runner = new ProcessingRunner({ provider, options: new OptionStore(), extensions });
  const saved: string[] = [];
  const sink = {
    check: async () => undefined,
    save: async (pictures: readonly { data: Uint8Array }[]) => {
      saved.push(...pictures.map(({ data }) => Buffer.from(data).toString('latin1')));
      return { paths: pictures.map((_, i) => `${i}.png`), gridPath: undefined };
    },
  };
  try {
    const result = await runner.run(request, { commandOptions, sink });
    return { result, reports, saved };
  } finally {
    await provider.dispose();
  }
}

describe('extension API', () => {
  it('has these hooks in this order: extensions rely on both', () => {
    expect(EXTENSION_API_VERSION).toBe(1);
    expect(HOOK_NAMES).toEqual([
      'app_started',
      'infotext_pasted',
      'before_process',
      'model_loaded',
      'extra_noise',
      'cfg_denoiser',
      'cfg_denoised',
      'after_cfg',
      'after_process',
      'before_image_saved',
      'image_grid',
      'image_saved',
    ]);
    expect(DEPRECATED_HOOKS).toEqual({ cfg_after_cfg: 'after_cfg' });
  });

  it('calls them in that order, and looking alone changes no pixel', async () => {
    const order: string[] = [];
    const evaluations: string[] = [];
    const listen = Object.fromEntries(
      HOOK_NAMES.map((name) => [
        name,
        (payload: object) => {
          order.push(name);
          if ('evaluation' in payload && 'step' in payload && 'steps' in payload) {
            evaluations.push(`${name} ${payload.evaluation} ${payload.step}/${payload.steps}`);
          }
        },
      ]),
    );
    const plain = await run([]);
    const { result, reports } = await run([listen], { ...REQUEST, grid: true });
    expect(reports).toEqual([]);
    expect(result.images.map(({ pixelSha256 }) => pixelSha256)).toEqual(
      plain.result.images.map(({ pixelSha256 }) => pixelSha256),
    );
    const loop = ['cfg_denoiser', 'cfg_denoised', 'after_cfg'];
    expect(order).toEqual([
      'before_process',
      'model_loaded',
      'extra_noise',
      ...loop,
      ...loop,
      'after_process',
      'before_image_saved',
      'image_grid',
      'image_saved',
    ]);
    expect(evaluations).toEqual([...loop.map((name) => `${name} 0 0/2`), ...loop.map((name) => `${name} 1 1/2`)]);
    expect(result.images[0]?.infotext).toContain('Extensions: e0');
    expect(plain.result.images[0]?.infotext).not.toContain('Extensions');
  });

  it('lets each hook change what it may', async () => {
    const plain = await run([]);
    const hash = plain.result.images[0]?.pixelSha256;
    const double = ({ latent }: { latent: { data: Float32Array } }) => latent.data.map((value) => value * 0.5);
    const ways: Extension['hooks'][] = [
      { extra_noise: double },
      { cfg_denoiser: double },
      { after_cfg: double },
      { cfg_denoised: ({ uncond }) => (uncond === undefined ? undefined : { uncond: uncond.data.map(() => 0) }) },
      { before_process: () => ({ seed: 8 }) },
    ];
    const hashes = [];
    for (const way of ways) hashes.push((await run([way])).result.images[0]?.pixelSha256);
    expect(new Set([hash, ...hashes]).size).toBe(ways.length + 1);
    const other = await run([], { ...REQUEST, seed: 8 });
    expect(hashes.at(-1)).toBe(other.result.images[0]?.pixelSha256);
    const { saved } = await run([{ before_image_saved: ({ infotext }) => ({ infotext: `${infotext}, Mine: 1` }) }]);
    expect(saved[0]).toContain(', Mine: 1');
  });

  it('survives one that throws everywhere', async () => {
    const fail = Object.fromEntries(
      HOOK_NAMES.map((name) => [
        name,
        () => {
          throw new Error('broken');
        },
      ]),
    );
    const plain = await run([]);
    const { result, reports } = await run([fail]);
    expect(result.images[0]?.pixelSha256).toBe(plain.result.images[0]?.pixelSha256);
    expect(reports).toHaveLength(9);
    expect(reports[0]).toBe('extension e0 failed in before_process, which has no effect: broken');
  });

  it('refuses a request that an extension made wrong', async () => {
    await expect(run([{ before_process: () => ({ steps: -1 }) }])).rejects.toThrow('steps must be');
  });
});
