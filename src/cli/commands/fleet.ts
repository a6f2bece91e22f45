import type { Command } from 'commander';
import { readFlags } from '../flags.js';
import type { Finish, Io } from '../io.js';
import { debugFlag, numberFlag, switchFlag, textFlag } from '../options.js';
import { queueFlags } from '../queue-flags.js';

const EXAMPLES = `
Examples:
  $ sdgen fleet --queue redis://queue.example:6379
  $ sdgen fleet --queue redis://queue.example:6379 --json
  $ sdgen fleet --queue redis://queue.example:6379 --metrics-port 9464
  $ sdgen fleet --queue redis://queue.example:6379 --reinstate blade7`;

/** `sdgen fleet`: the flags here, the work in run-fleet. */
export function addFleet(program: Command, io: Io, finish: Finish): void {
  const command = program.command('fleet');
  command.description('show the workers of a queue, what waits there, and what failed').optionsGroup('Queue:');
  for (const option of queueFlags()) command.addOption(option);
  command
    .addOption(textFlag('--reinstate <name>', 'let a worker that was set aside work again'))
    .optionsGroup('Output:')
    .addOption(switchFlag('--json', 'print one JSON document'))
    .addOption(switchFlag('--metrics', 'print it as Prometheus reads it'))
    .addOption(numberFlag('--metrics-port <n>', 'answer /metrics on this port of 127.0.0.1; 0 = one that is free'))
    .addOption(debugFlag())
    .addHelpText('after', EXAMPLES)
    .action(async () => {
      const { runFleet } = await import('../run-fleet.js');
      finish(await runFleet(readFlags(command, io.env), io));
    });
}
