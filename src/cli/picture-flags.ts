import type { Option } from 'commander';
import {
  DEFAULTS,
  DEVICE_NAMES,
  HIRES_DEFAULTS,
  LIMITS,
  PRECISION_NAMES,
  VAE_TILING_NAMES,
} from '../request/limits.js';
import { LATENT_UPSCALER_NAMES, PIXEL_UPSCALER_NAMES } from '../request/upscalers.js';
import { samplerNames } from '../sampling/samplers.js';
import { schedulerLabels } from '../sampling/schedules.js';
import { extensionFlag, modelsDirFlag, numberFlag, switchFlag, textFlag } from './options.js';

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

/** The second pass: a picture enlarged and gone over again ("hires fix"). */
export function hiresFlags(): Option[] {
  const { scale, upscaler, denoisingStrength } = HIRES_DEFAULTS;
  return [
    switchFlag('--hires', 'enlarge the picture and go over it again ("hires fix")'),
    numberFlag('--hires-scale <x>', "times the picture's sides", scale),
    numberFlag('--hires-resize-x <pixels>', 'a width instead; with both sides the middle is taken'),
    numberFlag('--hires-resize-y <pixels>', 'a height instead'),
    textFlag('--hires-upscaler <name>', [...LATENT_UPSCALER_NAMES, ...PIXEL_UPSCALER_NAMES].join(', '), upscaler),
    numberFlag('--hires-steps <n>', 'exactly so many', 'as --steps'),
    numberFlag('--hires-denoising-strength <x>', 'how much of it is given up, 0 to 1', denoisingStrength),
    textFlag('--hires-sampler <name>', 'of the second pass', 'as --sampler'),
    textFlag('--hires-scheduler <name>', 'of the second pass', 'as --scheduler'),
    numberFlag('--hires-cfg-scale <x>', 'of the second pass', 'as --cfg-scale'),
    textFlag('--hires-prompt <text>', 'of the second pass', 'as --prompt'),
    textFlag('--hires-negative-prompt <text>', 'of the second pass', 'as --negative-prompt'),
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
