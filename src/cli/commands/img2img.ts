import type { Command } from 'commander';
import { readFlags } from '../flags.js';
import type { Finish, Io } from '../io.js';
import { imageFlags } from '../picture-flags.js';
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
