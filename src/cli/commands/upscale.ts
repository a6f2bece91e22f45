import type { Command } from 'commander';
import { DEFAULTS, FORMAT_NAMES, UPSCALE_DEFAULTS } from '../../request/limits.js';
import { PIXEL_UPSCALER_NAMES } from '../../request/upscalers.js';
import { readFlags } from '../flags.js';
import type { Finish, Io } from '../io.js';
import { DEFAULT_FOLDER, debugFlag, numberFlag, switchFlag, textFlag } from '../options.js';

const EXAMPLES = `
Examples:
  $ sdgen upscale outputs/00001-7.png --scale 2
  $ sdgen upscale a.png b.png --width 1024 --output large/
  $ sdgen upscale sketch.png --width 640 --height 480 --upscaler Nearest --output wide.png

The pictures keep their parameters and say what was done to them. Sides are cut to multiples of 8 where --scale is given.`;

/** `sdgen upscale`: the flags here, the work in run-upscale. */
export function addUpscale(program: Command, io: Io, finish: Finish): void {
  const names = PIXEL_UPSCALER_NAMES.filter((name) => name !== 'None').join(', ');
  const command = program.command('upscale');
  command
    .description('make pictures larger or smaller, without a model')
    .argument('<images...>', 'PNG, JPEG, WebP, AVIF or GIF files')
    .addOption(numberFlag('--scale <x>', 'factor of both sides', UPSCALE_DEFAULTS.scale))
    .addOption(numberFlag('--width <pixels>', 'instead of --scale; alone, the height follows'))
    .addOption(numberFlag('--height <pixels>', 'alone, the width follows; with both the picture covers the size'))
    .addOption(switchFlag('--whole', 'keep what is beyond the size instead of cutting it off'))
    .addOption(textFlag('--upscaler <name>', names, UPSCALE_DEFAULTS.upscaler))
    .addOption(textFlag('--upscaler2 <name>', 'mixed over the first', 'None'))
    .addOption(numberFlag('--upscaler2-visibility <x>', 'its share, 0 to 1', 0))
    .addOption(textFlag('-o, --output <file|dir>', 'x.png (.jpg, .webp, .avif) or a folder', `${DEFAULT_FOLDER}/`))
    .addOption(textFlag('--format <name>', FORMAT_NAMES.join(', '), "the output's extension, else png"))
    .addOption(numberFlag('--quality <n>', 'of jpeg, webp and avif, 1 to 100', DEFAULTS.quality))
    .addOption(switchFlag('--force', 'replace existing files'))
    .addOption(switchFlag('--json', 'print one JSON document on standard output'))
    .addOption(debugFlag())
    .addHelpText('after', EXAMPLES)
    .action(async (images: string[]) => {
      const { runUpscale } = await import('../run-upscale.js');
      finish(await runUpscale(images, readFlags(command, io.env), io));
    });
}
