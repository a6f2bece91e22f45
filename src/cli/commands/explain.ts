import type { Command } from 'commander';
import { DEFAULTS } from '../../request/limits.js';
import { readFlags } from '../flags.js';
import type { Finish, Io } from '../io.js';
import { debugFlag, modelsDirFlag, numberFlag, promptFlags, switchFlag, textFlag } from '../options.js';

const EXAMPLES = `
Examples:
  $ sdgen explain "a (red:1.3) fox in the [snow:rain:0.5]"
  $ sdgen explain "a cat AND a dog :1.2" --steps 30 --json
  $ sdgen explain "portrait" --style "Oil painting" --styles-file styles.csv`;

/** `sdgen explain`: how a prompt is read. */
export function addExplain(program: Command, io: Io, finish: Finish): void {
  const command = program.command('explain');
  command
    .description('show how a prompt is read: parts, schedule, chunks, tokens, weights; needs no model')
    .argument('<prompt>', 'the text')
    .addOption(switchFlag('--negative', 'read it as a negative prompt'))
    .addOption(numberFlag('--steps <n>', 'sampling steps', DEFAULTS.steps))
    .addOption(textFlag('--sampler <name>', 'whose evaluations schedules count', DEFAULTS.sampler));
  for (const option of promptFlags()) command.addOption(option);
  command
    .addOption(textFlag('-m, --model <file|name>', "a model whose text encoder's length counts (default: CLIP's)"))
    .addOption(modelsDirFlag())
    .addOption(switchFlag('--json', 'print one JSON document'))
    .addOption(debugFlag())
    .addHelpText('after', EXAMPLES)
    .action(async (prompt: string) => {
      const { runExplain } = await import('../run-explain.js');
      finish(await runExplain(prompt, readFlags(command, io.env), io));
    });
}
