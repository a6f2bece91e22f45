import type { Command, Option } from 'commander';
import { DEFAULTS, FORMAT_NAMES } from '../request/limits.js';
import {
  DEFAULT_FOLDER,
  debugFlag,
  noTrailFlag,
  numberFlag,
  overrideFlags,
  promptFlags,
  samplingFlags,
  showFlag,
  switchFlag,
  textFlag,
  variationFlags,
} from './options.js';
import { machineFlags, pictureFlags } from './picture-flags.js';

export interface FlagGroup {
  readonly group: string;
  readonly options: readonly Option[];
}

/**
 * Adds the flags of a command that makes pictures, in their groups.
 * @param groups what stands before all others, and what stands behind those of the picture
 */
export function addRunFlags(
  command: Command,
  { first, second }: { readonly first?: FlagGroup; readonly second?: FlagGroup },
): void {
  const addGroup = ({ group, options }: FlagGroup): void => {
    command.optionsGroup(group);
    for (const option of options) command.addOption(option);
  };
  if (first !== undefined) addGroup(first);
  command
    .optionsGroup('Picture:')
    .addOption(textFlag('-p, --prompt <text>', 'what the picture shows; may be empty'))
    .addOption(textFlag('-n, --negative-prompt <text>', 'what it should not show'))
    .addOption(textFlag('--from <image>', "take over a picture's parameters; other flags win"))
    .addOption(
      textFlag('--plan <file>', 'run a saved plan exactly (from --dry-run --json); it says all but where and how'),
    );
  for (const option of pictureFlags()) command.addOption(option);
  if (second !== undefined) addGroup(second);
  command.optionsGroup('Prompt:');
  for (const option of promptFlags()) command.addOption(option);
  command.optionsGroup('Variation of the seed:');
  for (const option of variationFlags()) command.addOption(option);
  command.optionsGroup('Sampling:');
  for (const option of samplingFlags()) command.addOption(option);
  command.optionsGroup('Model and machine:');
  for (const option of machineFlags()) command.addOption(option);
  command.optionsGroup("Model facts (default: the file's metadata, else its family's):");
  for (const option of overrideFlags()) command.addOption(option);
  command
    .optionsGroup('Output:')
    .addOption(
      textFlag('-o, --output <file|dir|->', 'x.png (.jpg, .webp, .avif), a folder, or -', `${DEFAULT_FOLDER}/`),
    )
    .addOption(textFlag('--format <name>', FORMAT_NAMES.join(', '), "the output's extension, else png"))
    .addOption(numberFlag('--quality <n>', 'of jpeg, webp and avif, 1 to 100', DEFAULTS.quality))
    .addOption(switchFlag('--grid', 'also write all pictures on one sheet'))
    .addOption(noTrailFlag())
    .addOption(switchFlag('--force', 'replace existing files'))
    .addOption(showFlag())
    .addOption(switchFlag('--json', 'print one JSON document on standard output'))
    .addOption(switchFlag('--dry-run', 'print the resolved plan; load no weights, write nothing'))
    .addOption(switchFlag('--profile', 'print time, GFLOP/s and share of each kind of op'))
    .addOption(switchFlag('-q, --quiet', 'no progress'))
    .addOption(debugFlag());
}
