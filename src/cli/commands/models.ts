import type { Command } from 'commander';
import { DEVICE_NAMES } from '../../request/limits.js';
import { readFlags } from '../flags.js';
import type { Finish, Io } from '../io.js';
import { debugFlag, modelsDirFlag, overrideFlags, switchFlag, textFlag } from '../options.js';

const EXAMPLES = `
Examples:
  $ sdgen models list
  $ sdgen models inspect micro1`;
const LIST_EXAMPLES = `
Examples:
  $ sdgen models list
  $ sdgen models list --models-dir /data/checkpoints --json`;
const INSPECT_EXAMPLES = `
Examples:
  $ sdgen models inspect micro1
  $ sdgen models inspect models/micro1.safetensors --json`;

/** `sdgen models list|inspect`. */
export function addModels(program: Command, io: Io, finish: Finish): void {
  const models = program
    .command('models')
    .description('list checkpoints and say what is in one')
    .addHelpText('after', EXAMPLES);
  const list = models.command('list').description('list the checkpoints in the models folders');
  list
    .addOption(modelsDirFlag())
    .addOption(switchFlag('--json', 'print one JSON document'))
    .addOption(debugFlag())
    .addHelpText('after', LIST_EXAMPLES)
    .action(async () => {
      const { listModels } = await import('../run-models.js');
      finish(await listModels(readFlags(list, io.env), io));
    });
  const inspect = models.command('inspect').description('read and check the header of a checkpoint; loads no weights');
  inspect
    .argument('<file|name>', 'a .safetensors file, a folder of diffusers, or a name in a models folder')
    .addOption(modelsDirFlag())
    .addOption(textFlag('--device <name>', DEVICE_NAMES.join(', '), 'auto'));
  for (const option of overrideFlags()) inspect.addOption(option);
  inspect
    .addOption(switchFlag('--json', 'print one JSON document'))
    .addOption(debugFlag())
    .addHelpText('after', INSPECT_EXAMPLES)
    .action(async (model: string) => {
      const { inspectModel } = await import('../run-models.js');
      finish(await inspectModel(model, readFlags(inspect, io.env), io));
    });
}
