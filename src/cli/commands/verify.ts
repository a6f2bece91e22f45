import type { Command } from 'commander';
import { DEVICE_NAMES, PRECISION_NAMES } from '../../request/limits.js';
import { readFlags } from '../flags.js';
import type { Finish, Io } from '../io.js';
import { debugFlag, listFlag, modelsDirFlag, numberFlag, switchFlag, textFlag } from '../options.js';

const EXAMPLES = `
Examples:
  $ sdgen verify outputs/00001-7.png
  $ sdgen verify outputs/*.png --device cpu --json
  $ sdgen verify winter.png --input lighthouse.png

Makes each picture again from what it carries, and says whether it is identical, or the first step at which it is not and
why that may be. A picture of fp32 is the same on every device; one of bf16 where the instruction set is the same.`;

/** `sdgen verify`: the flags here, the work in run-verify. */
export function addVerify(program: Command, io: Io, finish: Finish): void {
  const command = program.command('verify');
  command
    .description('make pictures again from what they carry, and compare')
    .argument('<images...>', 'PNG, JPEG, WebP or AVIF files')
    .addOption(textFlag('-m, --model <file|name>', "instead of the model with the picture's hash in a models folder"))
    .addOption(textFlag('--vae <file|name>', "instead of the VAE with the picture's hash"))
    .addOption(listFlag('--input <image>', 'a picture that one of them began with; again for more'))
    .addOption(textFlag('--mask <image>', 'and its mask'))
    .addOption(modelsDirFlag())
    .addOption(textFlag('--device <name>', DEVICE_NAMES.join(', '), "the picture's"))
    .addOption(textFlag('--precision <name>', PRECISION_NAMES.join(', '), "the picture's"))
    .addOption(numberFlag('--threads <n>', 'threads that compute', 'one per core'))
    .addOption(switchFlag('--json', 'print one JSON document on standard output'))
    .addOption(switchFlag('-q, --quiet', 'no progress'))
    .addOption(debugFlag())
    .addHelpText('after', EXAMPLES)
    .action(async (images: string[]) => {
      const { runVerify } = await import('../run-verify.js');
      finish(await runVerify(images, readFlags(command, io.env), io));
    });
}
