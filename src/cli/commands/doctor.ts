import type { Command } from 'commander';
import { readFlags } from '../flags.js';
import type { Finish, Io } from '../io.js';
import { debugFlag, modelsDirFlag, switchFlag } from '../options.js';

/** `sdgen doctor`: whether this installation can work. */
export function addDoctor(program: Command, io: Io, finish: Finish): void {
  const command = program.command('doctor');
  command
    .description('check this installation: engine, processor, memory, folders')
    .addOption(modelsDirFlag())
    .addOption(switchFlag('--json', 'print one JSON document'))
    .addOption(debugFlag())
    .addHelpText('after', '\nExamples:\n  $ sdgen doctor\n  $ sdgen doctor --json')
    .action(async () => {
      const { runDoctor } = await import('../run-doctor.js');
      finish(await runDoctor(readFlags(command, io.env), io));
    });
}
