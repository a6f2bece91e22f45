import type { Command } from 'commander';
import { DEVICE_NAMES, FLEET_DEFAULTS, PRECISION_NAMES, SERVER_DEFAULTS } from '../../request/limits.js';
import { readFlags } from '../flags.js';
import type { Finish, Io } from '../io.js';
import { debugFlag, modelsDirFlag, numberFlag, switchFlag, textFlag } from '../options.js';
import { queueFlags, storeFlag } from '../queue-flags.js';

const EXAMPLES = `
Examples:
  $ sdgen worker --queue redis://queue.example:6379 --models-dir models
  $ SDGEN_QUEUE=rediss://:secret@queue.example:6380 sdgen worker --device cpu --threads 8 --name blade7
  $ sdgen batch prompts.jsonl -m micro1 --queue redis://queue.example:6379 --output robots/

Takes the plans that it can run: model, precision and version decide. SIGTERM or Ctrl-C: the plans under way are
finished first; a second one gives them back. See docs/scale.md.`;

/** `sdgen worker`: the flags here, the work in run-worker. */
export function addWorker(program: Command, io: Io, finish: Finish): void {
  const command = program.command('worker');
  command.description('make pictures for others: take plans from a queue').optionsGroup('Queue:');
  for (const option of [...queueFlags(), storeFlag()]) command.addOption(option);
  command
    .addOption(textFlag('--name <name>', 'what the fleet calls it (default: host and process)'))
    .addOption(
      numberFlag('--concurrency <n>', 'plans at once; one computes, the rest is fetched', FLEET_DEFAULTS.concurrency),
    )
    .addOption(
      numberFlag('--lease <seconds>', 'after so long without a word a plan goes to another', FLEET_DEFAULTS.lease),
    )
    .optionsGroup('Model and machine:')
    .addOption(textFlag('-m, --model <file|name>', 'this model alone (default: all of the models folders)'))
    .addOption(modelsDirFlag())
    .addOption(numberFlag('--keep-models <n>', 'models that stay in memory', SERVER_DEFAULTS.keepModels))
    .addOption(textFlag('--device <name>', DEVICE_NAMES.join(', '), 'auto'))
    .addOption(textFlag('--precision <name>', `${PRECISION_NAMES.join(', ')}: plans of this alone`, 'auto'))
    .addOption(numberFlag('--threads <n>', 'threads that compute', 'one per core'))
    .optionsGroup('Output:')
    .addOption(switchFlag('--json', 'print one line of JSON when ready: {"worker": …}'))
    .addOption(switchFlag('-q, --quiet', 'log warnings alone'))
    .addOption(debugFlag())
    .addHelpText('after', EXAMPLES)
    .action(async () => {
      const { runWorker } = await import('../run-worker.js');
      finish(await runWorker(readFlags(command, io.env), io));
    });
}
