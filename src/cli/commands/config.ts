import { type Command, Option } from 'commander';
import { settingFlags } from '../config-file.js';
import { readFlags } from '../flags.js';
import type { Finish, Io } from '../io.js';
import { debugFlag, forField, switchFlag } from '../options.js';

const EXAMPLES = `
Examples:
  $ sdgen config set cfg-scale 5.5
  $ sdgen config list --show-origin
  $ sdgen config get sampler
  $ sdgen config unset cfg-scale

A setting is called as the flag that it stands for. A flag wins over the environment (SDGEN_CFG_SCALE), the environment
over the file (sdgen config path; SDGEN_CONFIG names another), the file over the default.`;

const LIST_EXAMPLES = `
Examples:
  $ sdgen config list
  $ sdgen config list --show-origin --steps 30
  $ sdgen config list --json | jq .settings.steps`;

/** `sdgen config list|get|set|unset|path`. Add it after the commands whose flags are settings. */
export function addConfig(program: Command, io: Io, finish: Finish): void {
  const flags = settingFlags(program);
  const config = program
    .command('config')
    .description('read and change settings that last')
    .addHelpText('after', EXAMPLES);
  const list = config
    .command('list', { isDefault: true })
    .description('print every setting in force; takes the flags of txt2img too')
    .addOption(switchFlag('--show-origin', 'also print where each comes from'))
    .addOption(switchFlag('--json', 'print one JSON document'))
    .addOption(debugFlag())
    .addHelpText('after', LIST_EXAMPLES);
  for (const flag of flags) {
    const hidden = forField(new Option(flag.flags, flag.description).hideHelp(), flag.attributeName());
    list.addOption(flag.parseArg === undefined ? hidden : hidden.argParser(flag.parseArg));
  }
  list.action(async () => {
    const { listConfig } = await import('../run-config.js');
    finish(await listConfig(flags, readFlags(list, io.env), io));
  });
  config
    .command('get')
    .description('print one setting in force; exits 1 where nothing is set')
    .argument('<name>', 'a setting, called as its flag: cfg-scale')
    .addOption(debugFlag())
    .addHelpText('after', '\nExamples:\n  $ sdgen config get sampler')
    .action(async (name: string) => {
      const { getConfig } = await import('../run-config.js');
      finish(await getConfig(name, flags, readFlags(list, io.env), io));
    });
  config
    .command('set')
    .description('keep a setting in the file')
    .argument('<name>', 'a setting, called as its flag: cfg-scale')
    .argument('<value>', 'as the flag takes it; true or false for a switch')
    .addOption(debugFlag())
    .addHelpText('after', '\nExamples:\n  $ sdgen config set sampler "Euler a"\n  $ sdgen config set quiet true')
    .action(async (name: string, value: string) => {
      const { setConfig } = await import('../run-config.js');
      finish(await setConfig(name, value, flags, io));
    });
  config
    .command('unset')
    .description('take a setting out of the file')
    .argument('<name>', 'as it stands in the file')
    .addOption(debugFlag())
    .addHelpText('after', '\nExamples:\n  $ sdgen config unset sampler')
    .action(async (name: string) => {
      const { unsetConfig } = await import('../run-config.js');
      finish(await unsetConfig(name, io));
    });
  config
    .command('path')
    .description("print the settings file's place")
    .addOption(debugFlag())
    .addHelpText('after', '\nExamples:\n  $ $EDITOR "$(sdgen config path)"')
    .action(async () => {
      const { printConfigPath } = await import('../run-config.js');
      finish(await printConfigPath(io));
    });
}
