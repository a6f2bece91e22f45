import { Argument, type Command } from 'commander';
import { settingFlags, settingName } from '../config-file.js';
import { readFlags } from '../flags.js';
import type { Finish, Io } from '../io.js';
import { debugFlag } from '../options.js';

const SHELLS = ['bash', 'zsh', 'fish'];

const EXAMPLES = `
Examples:
  $ source <(sdgen completion bash)
  $ source <(sdgen completion zsh)
  $ sdgen completion fish > ~/.config/fish/completions/sdgen.fish

The first two lines belong into ~/.bashrc and, after compinit, ~/.zshrc.`;

/** `sdgen completion SHELL`, and the hidden command that its script asks. Add them after all others. */
export function addCompletion(program: Command, io: Io, finish: Finish): void {
  program
    .command('completion')
    .description("print a script that completes sdgen's words in a shell")
    .addArgument(new Argument('<shell>', 'the shell').choices(SHELLS))
    .addOption(debugFlag())
    .addHelpText('after', EXAMPLES)
    .action(async (shell: string) => {
      const { printScript } = await import('../run-completion.js');
      finish(await printScript(shell, io));
    });
  program
    .command('__complete', { hidden: true })
    .argument('[words...]', 'what stands before the cursor')
    .action(async (words: string[]) => {
      const { printSuggestions } = await import('../run-completion.js');
      const settings = settingFlags(program).map(settingName).sort();
      const flags = () => readFlags(program.commands.find((one) => one.name() === 'txt2img') ?? program, io.env);
      finish(await printSuggestions(program, words, { settings, flags }, io));
    });
}
