import type { Command } from 'commander';
import { readFlags } from '../flags.js';
import type { Finish, Io } from '../io.js';
import { debugFlag, showFlag, switchFlag } from '../options.js';

const EXAMPLES = `
Examples:
  $ sdgen info outputs/00001-7.png
  $ sdgen info picture.png --json | jq -r .parameters.Seed`;

/** `sdgen info`: what a picture says of itself. */
export function addInfo(program: Command, io: Io, finish: Finish): void {
  const command = program.command('info');
  command
    .description('print the parameters a picture was made with')
    .argument('<image>', 'a PNG, JPEG, WebP, AVIF or GIF file')
    .addOption(switchFlag('--json', 'print one JSON document'))
    .addOption(showFlag())
    .addOption(debugFlag())
    .addHelpText('after', EXAMPLES)
    .action(async (image: string) => {
      const { runInfo } = await import('../run-info.js');
      finish(await runInfo(image, readFlags(command, io.env), io));
    });
}
