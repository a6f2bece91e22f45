import type { Option } from 'commander';
import {
  DEFAULTS,
  DEVICE_NAMES,
  HIRES_DEFAULTS,
  IMAGE_DEFAULTS,
  INPAINT_AREAS,
  LIMITS,
  MASKED_CONTENTS,
  PRECISION_NAMES,
  RESIZE_MODES,
  VAE_TILING_NAMES,
} from '../request/limits.js';
import { LATENT_UPSCALER_NAMES, PIXEL_UPSCALER_NAMES } from '../request/upscalers.js';
import { samplerNames } from '../sampling/samplers.js';
import { schedulerLabels } from '../sampling/schedules.js';
import { extensionFlag, forField, modelsDirFlag, numberFlag, switchFlag, textFlag } from './options.js';

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
      `encode and decode in tiles: ${VAE_TILING_NAMES.join(', ')} (large pictures)`,
      DEFAULTS.vaeTiling,
    ),
    textFlag('--rng <gpu|cpu>', "noise as the webui's GPU makes it, or torch's CPU", DEFAULTS.rng),
  ];
}

/** The second pass: a picture enlarged and gone over again ("hires fix"). */
export function hiresFlags(): Option[] {
  const { scale, upscaler, denoisingStrength } = HIRES_DEFAULTS;
  const undo = switchFlag('--no-hires', 'leave out the second pass that a setting or --from asks for');
  const noHires = forField(Object.assign(undo, { negate: false }), 'noHires');
  return [
    switchFlag('--hires', 'enlarge the picture and go over it again ("hires fix")'),
    noHires,
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

/** The pictures that a run begins with. */
export function imageFlags(): Option[] {
  const { denoisingStrength, resizeMode, imageCfgScale, maskBlur, maskedContent, inpaintArea, inpaintPadding } =
    IMAGE_DEFAULTS;
  return [
    numberFlag('--denoising-strength <x>', 'how much of the picture is given up, 0 to 1', denoisingStrength),
    textFlag('--resize-mode <mode>', `how it gets the size: ${RESIZE_MODES.join(', ')}`, resizeMode),
    forField(switchFlag('--exact-steps', 'make --steps steps whatever the strength'), 'img2imgFixSteps'),
    forField(numberFlag('--noise-multiplier <x>', "of the start's noise", 1), 'initialNoiseMultiplier'),
    forField(numberFlag('--extra-noise <x>', 'share of the noise added once more', 0), 'img2imgExtraNoise'),
    forField(textFlag('--background <colour>', 'behind transparent places', '#ffffff'), 'img2imgBackgroundColor'),
    forField(switchFlag('--color-correction', "give the result the picture's colours"), 'img2imgColorCorrection'),
    numberFlag('--image-cfg-scale <x>', 'how strictly editing models follow the picture', imageCfgScale),
    textFlag('--mask <image>', 'white where the picture is made anew'),
    switchFlag('--invert-mask', 'black where it is made anew'),
    numberFlag('--mask-blur <pixels>', "Gaussian blur of the mask's edges", maskBlur),
    switchFlag('--soft-mask', 'let grey places change in part'),
    textFlag('--masked-content <what>', `at the start: ${MASKED_CONTENTS.join(', ')}`, maskedContent),
    textFlag('--inpaint-area <area>', `work on: ${INPAINT_AREAS.join(', ')} (at the full size)`, inpaintArea),
    numberFlag('--inpaint-padding <pixels>', 'seen around the masked area', inpaintPadding),
    forField(numberFlag('--mask-weight <x>', 'how much inpainting models see the mask', 1), 'inpaintingMaskWeight'),
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
