import type { Command } from 'commander';
import { BENCH_DEFAULTS, DEVICE_NAMES } from '../../request/limits.js';
import { readFlags } from '../flags.js';
import type { Finish, Io } from '../io.js';
import { debugFlag, modelsDirFlag, numberFlag, switchFlag, textFlag } from '../options.js';

const EXAMPLES = `
Examples:
  $ sdgen bench
  $ sdgen bench --part unet --precision fp32,bf16 --repeat 10
  $ sdgen bench --model models/micro1.safetensors --json | jq .parts

Weights are made in memory: no checkpoint is needed. Shares are of the peak measured in the same run.`;

/** `sdgen bench`: how much of the machine each part of a model uses. */
export function addBench(program: Command, io: Io, finish: Finish): void {
  const command = program.command('bench');
  command
    .description("time the parts of a model against this machine's peak")
    .addOption(textFlag('--arch <name>', 'whose dimensions', BENCH_DEFAULTS.arch))
    .addOption(textFlag('-m, --model <file|name>', "a checkpoint's dimensions instead"))
    .addOption(modelsDirFlag())
    .addOption(textFlag('--part <list>', 'of text, unet, vae-decode', 'all'))
    .addOption(numberFlag('--width <pixels>', 'of the picture', BENCH_DEFAULTS.width))
    .addOption(numberFlag('--height <pixels>', 'of the picture', BENCH_DEFAULTS.height))
    .addOption(numberFlag('--batch <n>', 'latents and prompts at once', BENCH_DEFAULTS.batch))
    .addOption(textFlag('--precision <list>', 'of fp32, bf16', 'all that the device has'))
    .addOption(textFlag('--device <name>', DEVICE_NAMES.join(', '), 'auto'))
    .addOption(numberFlag('--threads <n>', 'threads that compute', 'one per core'))
    .addOption(numberFlag('--repeat <n>', 'runs, of which the best counts', BENCH_DEFAULTS.repeat))
    .addOption(switchFlag('--op-shapes', 'time each distinct op by itself'))
    .addOption(switchFlag('--json', 'print one JSON document'))
    .addOption(debugFlag())
    .addHelpText('after', EXAMPLES)
    .action(async () => {
      const { runBench } = await import('../run-bench.js');
      finish(await runBench(readFlags(command, io.env), io));
    });
}
