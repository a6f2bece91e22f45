import type { Command } from 'commander';
import { SOURCE_FORMATS } from '../../batch/source-formats.js';
import { DEFAULTS, FORMAT_NAMES } from '../../request/limits.js';
import { readFlags } from '../flags.js';
import type { Finish, Io } from '../io.js';
import {
  DEFAULT_FOLDER,
  debugFlag,
  noSheetFlag,
  noTrailFlag,
  numberFlag,
  overrideFlags,
  promptFlags,
  samplingFlags,
  switchFlag,
  textFlag,
  variationFlags,
} from '../options.js';
import { machineFlags, pictureFlags } from '../picture-flags.js';
import { auditFlag, queueFlags, storeFlag } from '../queue-flags.js';

const EXAMPLES = `
Examples:
  $ sdgen batch prompts.jsonl -m models/micro1.safetensors --steps 20 --output robots/
  $ sdgen batch prompts.jsonl -m models/micro1.safetensors --output robots/ --resume
  $ sdgen batch prompts.csv -m micro1 --x "steps=10-30 (+10)" --y "sampler=Euler,Heun"
  $ echo '{"prompt": "a {red|blue} fox in __places__"}' | sdgen batch - -m micro1 --wildcards words/ --seed 7
  $ sdgen batch prompts.yaml --dry-run

A line is a request: {"prompt": "a fox", "steps": 20, "cfgScale": "5-9 (+2)"}. Flags hold for lines that say nothing else.
See docs/batch.md.`;

/** `sdgen batch`: the flags here, the work in run-batch. */
export function addBatch(program: Command, io: Io, finish: Finish): void {
  const command = program.command('batch');
  command
    .description('make the pictures of a file of requests, and go on where it was cut off')
    .argument('<file>', 'JSONL, CSV or YAML; - reads JSONL from standard input')
    .optionsGroup('Batch:')
    .addOption(textFlag('--input-format <name>', `${SOURCE_FORMATS.join(', ')} (default: by the file's name)`))
    .addOption(textFlag('--x <field=values>', 'an axis of values, e.g. "steps=10-30 (+10)"'))
    .addOption(textFlag('--y <field=values>', 'another; its values change slower'))
    .addOption(textFlag('--z <field=values>', 'another; slowest'))
    .addOption(textFlag('--wildcards <dir>', 'folder of files for __name__ in prompts', './wildcards'))
    .addOption(switchFlag('--all-wildcards', 'every entry of a wildcard, not one drawn by the seed'))
    .addOption(switchFlag('--literal', 'take {, | and __ in texts as they are written'))
    .addOption(textFlag('--journal <file>', 'what is done (default: batch.journal.jsonl in the output folder)'))
    .addOption(switchFlag('--resume', 'skip what the journal says is complete'))
    .addOption(switchFlag('--strict', 'make nothing if a line is wrong'))
    .optionsGroup('For lines that say nothing else:')
    .addOption(textFlag('-p, --prompt <text>', 'what the picture shows; may be empty'))
    .addOption(textFlag('-n, --negative-prompt <text>', 'what it should not show'));
  for (const option of pictureFlags()) command.addOption(option);
  command.optionsGroup('Prompt:');
  for (const option of promptFlags()) command.addOption(option);
  command.optionsGroup('Variation of the seed:');
  for (const option of variationFlags()) command.addOption(option);
  command.optionsGroup('Sampling:');
  for (const option of samplingFlags()) command.addOption(option);
  command.optionsGroup('Model and machine:');
  for (const option of machineFlags()) command.addOption(option);
  command.optionsGroup('Other machines:');
  for (const option of [...queueFlags(), storeFlag(), auditFlag()]) command.addOption(option);
  command.optionsGroup("Model facts (default: the file's metadata, else its family's):");
  for (const option of overrideFlags()) command.addOption(option);
  command
    .optionsGroup('Output:')
    .addOption(textFlag('-o, --output <dir>', 'a folder', `${DEFAULT_FOLDER}/`))
    .addOption(textFlag('--format <name>', FORMAT_NAMES.join(', '), DEFAULTS.format))
    .addOption(numberFlag('--quality <n>', 'of jpeg, webp and avif, 1 to 100', DEFAULTS.quality))
    .addOption(noTrailFlag())
    .addOption(noSheetFlag())
    .addOption(switchFlag('--json', 'print a JSON document a line for each item that ends'))
    .addOption(switchFlag('--dry-run', 'print what would be made; load no weights, write nothing'))
    .addOption(switchFlag('-q, --quiet', 'no progress'))
    .addOption(debugFlag())
    .addHelpText('after', EXAMPLES)
    .action(async (file: string) => {
      const { runBatch } = await import('../run-batch.js');
      finish(await runBatch(file, readFlags(command, io.env), io));
    });
}
