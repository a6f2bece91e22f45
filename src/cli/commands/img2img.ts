import type { Command, Option } from 'commander';
import { IMAGE_DEFAULTS, INPAINT_AREAS, MASKED_CONTENTS, RESIZE_MODES } from '../../request/limits.js';
import { readFlags } from '../flags.js';
import type { Finish, Io } from '../io.js';
import { forField, numberFlag, switchFlag, textFlag } from '../options.js';
import { addRunFlags } from '../run-flags.js';

const EXAMPLES = `
Examples:
  $ sdgen img2img sketch.png -p "a castle on a hill" --denoising-strength 0.6
  $ sdgen img2img photo.jpg -p "a red door" --mask door.png --inpaint-area masked
  $ sdgen img2img a.png b.png -p "an oil painting" --width 512 --height 512 --output painted/
  $ sdgen img2img cut-out.png -p "a beach" --mask cut-out.png --invert-mask --masked-content fill

The result has the picture's size, down to multiples of 8, unless --width and --height say otherwise. In a mask white is what
is made anew; a mask with transparent places counts by these: opaque is what is made anew. With several pictures result i
begins with picture i.`;

function imageFlags(): Option[] {
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

/** `sdgen img2img IMAGE...`: the flags here, the work in run-txt2img. */
export function addImageToImage(program: Command, io: Io, finish: Finish): void {
  const command = program
    .command('img2img')
    .description('make pictures from pictures and a prompt; repaint masked parts')
    .argument('<images...>', 'PNG, JPEG, WebP, AVIF or GIF files');
  addRunFlags(command, { first: { group: 'Picture to begin with:', options: imageFlags() } });
  command.addHelpText('after', EXAMPLES).action(async (images: string[]) => {
    const { runImageToImage } = await import('../run-txt2img.js');
    finish(await runImageToImage(images, readFlags(command, io.env), io));
  });
}
