import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OptionStore } from '../../src/context/options.js';
import { resolveCommandOptions } from '../../src/runtime/command-options.js';
import { CachedModelProvider } from '../../src/runtime/model-provider.js';
import { ProcessingRunner } from '../../src/runtime/processing-runner.js';
import { CliSandbox } from '../support/cli.js';
import { ROOT } from '../support/project.js';

/**
 * The embedded model's pictures of the README, by their pixels. `models/pocket/pictures.json` is written by
 * `sdgen batch models/pocket/pictures.yaml --json`, and changes with the weights alone.
 */
interface Picture {
  readonly prompt: string;
  readonly seed: number;
  readonly pixelSha256: string;
}

let pictures: readonly Picture[];
const provider = new CachedModelProvider();
const runner = new ProcessingRunner({ provider, options: new OptionStore() });
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sdgen-pocket-'));
  pictures = JSON.parse(await readFile(join(ROOT, 'models/pocket/pictures.json'), 'utf8'));
});
afterAll(async () => {
  await provider.dispose();
  await rm(folder, { recursive: true, force: true });
});

/** With no model named, in a folder without any: what the package carries. */
async function pixelsOf({ prompt, seed }: Picture, device: string): Promise<string | undefined> {
  const place = { cwd: folder, env: {} };
  const commandOptions = resolveCommandOptions({ device }, place);
  const { images, prepared } = await runner.run({ prompt, seed }, { commandOptions });
  expect(prepared.context.model.name).toBe('pocket');
  expect(prepared.plan.device.precision).toBe('fp32');
  return images[0]?.pixelSha256;
}

describe('the embedded model', () => {
  it('makes the pictures that the README shows, to the bit', async () => {
    expect(pictures.length).toBeGreaterThanOrEqual(32);
    for (const picture of pictures) expect(await pixelsOf(picture, 'cpu'), picture.prompt).toBe(picture.pixelSha256);
    expect(new Set(pictures.map(({ pixelSha256 }) => pixelSha256)).size).toBe(pictures.length);
  });

  it('makes them on the reference path too', async () => {
    for (const picture of [pictures[0], pictures.at(-1)]) {
      expect(picture && (await pixelsOf(picture, 'reference'))).toBe(picture?.pixelSha256);
    }
  });

  it('is what the first command uses, and says what it does not know', async () => {
    const box = await CliSandbox.create();
    try {
      const { code, out, err } = await box.run(['txt2img', '-p', 'a rocket on a blue background', '--seed', '1']);
      expect({ code, out }).toEqual({ code: 0, out: 'outputs/00001-1.png\n' });
      expect(err).toContain('1 picture of 128x128');
      expect(err).not.toContain('warning');
      const strange = await box.run([
        'txt2img',
        '-p',
        'a lighthouse at dusk',
        '--width',
        '512',
        '--height',
        '64',
        '--steps',
        '1',
      ]);
      expect(strange.code).toBe(0);
      expect(strange.err).toContain('pocket has never seen "lighthouse", "at", "dusk"');
      expect(strange.err).toContain('pocket is asked for 512x64, and was trained at 128x128');
      const list = await box.run(['models', 'list']);
      expect(list.out).toMatch(/^pocket +model +\d+\.\d MB/m);
      expect(list.err).toContain('pocket comes with sdgen');
    } finally {
      await box.remove();
    }
  });
});
