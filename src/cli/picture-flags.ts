import type { Option } from 'commander';
import { DEFAULTS, DEVICE_NAMES, LIMITS, PRECISION_NAMES, VAE_TILING_NAMES } from '../request/limits.js';
import { samplerNames } from '../sampling/samplers.js';
import { schedulerLabels } from '../sampling/schedules.js';
import { extensionFlag, modelsDirFlag, numberFlag, textFlag } from './options.js';

const { side } = LIMITS;
const sideRange = `${side.min} to ${side.max}, a multiple of ${side.multiple}`;

/** What every request for pictures has besides its prompts. */
export function pictureFlags(): Option[] {
  return [
    numberFlag('--steps <n>', 'sampling steps', DEFAULTS.steps),
    textFlag('--sampler <name>', samplerNames().join(', '), DEFAULTS.sampler),
    textFlag('--scheduler <name>', schedulerLabels().join(', '), DEFAULTS.scheduler),
    numberFlag('--cfg-scale <x>', 'how strictly the prompt is followed; 1 = no guidance', DEFAULTS.cfgScale),
    numberFlag('--width <pixels>', sideRange, DEFAULTS.width),
    numberFlag('--height <pixels>', sideRange, DEFAULTS.height),
    numberFlag('--seed <n>', 'of the first picture, the next has one more; -1 = random', DEFAULTS.seed),
    numberFlag('--count <n>', 'batches', DEFAULTS.count),
    numberFlag('--batch-size <n>', 'pictures made at once', DEFAULTS.batchSize),
    numberFlag('--clip-skip <n>', 'text encoder layers from the end, 1 = the last', DEFAULTS.clipSkip),
    textFlag(
      '--vae-tiling <when>',
      `decode in tiles: ${VAE_TILING_NAMES.join(', ')} (large pictures)`,
      DEFAULTS.vaeTiling,
    ),
    textFlag('--rng <gpu|cpu>', "noise as the webui's GPU makes it, or torch's CPU", DEFAULTS.rng),
  ];
}

/** Which model, on what. */
export function machineFlags(): Option[] {
  return [
    textFlag('-m, --model <file|name>', 'a .safetensors file, a folder of diffusers, or a name in a models folder'),
    modelsDirFlag(),
    textFlag('--device <name>', DEVICE_NAMES.join(', '), 'auto'),
    textFlag('--precision <name>', PRECISION_NAMES.join(', '), 'auto'),
    numberFlag('--threads <n>', 'threads that compute', 'one per core'),
    extensionFlag(),
  ];
}
