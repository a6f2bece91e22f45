import type { Command, Option } from 'commander';
import { SOURCE_FORMATS } from '../batch/source-formats.js';
import { VAE_WORDS } from '../checkpoints/vae-names.js';
import { DEVICE_NAMES, FORMAT_NAMES, NOISE_NAMES, PRECISION_NAMES, UNIPC_VARIANTS } from '../request/limits.js';
import { LATENT_UPSCALER_NAMES, PIXEL_UPSCALER_NAMES } from '../request/upscalers.js';
import { samplerNames } from '../sampling/samplers.js';
import { schedulerLabels } from '../sampling/schedules.js';

/** A word that could stand at the cursor. */
export interface Suggestion {
  readonly word: string;
  readonly about?: string | undefined;
}

/** What a value or an argument may be. Where it may be anything the shell offers files. */
export interface Lists {
  readonly models: () => Promise<readonly string[]>;
  readonly vaes: () => Promise<readonly string[]>;
  readonly settings: () => readonly string[];
  /** Of this machine, with each card by its number. */
  readonly devices: () => Promise<readonly string[]>;
}

type Source = (lists: Lists) => readonly string[] | Promise<readonly string[]>;

/** By a flag's long name, or an argument's. */
const VALUES: Readonly<Record<string, Source>> = {
  '--sampler': samplerNames,
  '--scheduler': schedulerLabels,
  '--hires-sampler': samplerNames,
  '--hires-scheduler': schedulerLabels,
  '--upscaler': () => PIXEL_UPSCALER_NAMES,
  '--upscaler2': () => PIXEL_UPSCALER_NAMES,
  '--hires-upscaler': () => [...LATENT_UPSCALER_NAMES, ...PIXEL_UPSCALER_NAMES],
  '--device': async ({ devices }) => [...new Set([...DEVICE_NAMES, ...(await devices())])],
  '--precision': () => PRECISION_NAMES,
  '--format': () => FORMAT_NAMES,
  '--rng': () => NOISE_NAMES,
  '--input-format': () => SOURCE_FORMATS,
  '--prediction-type': () => ['epsilon', 'v_prediction'],
  '--unipc-variant': () => UNIPC_VARIANTS,
  '--unipc-skip': () => ['time_uniform', 'time_quadratic', 'logSNR'],
  '--model': ({ models }) => models(),
  '--vae': async ({ vaes }) => [...VAE_WORDS, ...(await vaes())],
  'file|name': ({ models }) => models(),
  name: ({ settings }) => settings(),
};

async function valuesOf(name: string, choices: readonly string[] | undefined, lists: Lists): Promise<Suggestion[]> {
  const words = choices ?? (Object.hasOwn(VALUES, name) ? await VALUES[name]?.(lists) : undefined);
  return (words ?? []).map((word) => ({ word }));
}

const findOption = (command: Command, word: string): Option | undefined =>
  command.options.find(({ long, short }) => word === long || word === short);

const takesValue = (option: Option | undefined): option is Option => option !== undefined && !option.isBoolean();

/** bash gives `--sampler=x` as three words. */
function withoutEqualSigns(words: readonly string[]): string[] {
  const isSign = (i: number): boolean => words[i] === '=' && (words[i - 1] ?? '').startsWith('--');
  const kept = words.filter((_, i) => !isSign(i));
  return isSign(words.length - 1) ? [...kept, ''] : kept;
}

/**
 * bash gives `cuda:1` as three words, and puts what it is told in the place of the last one.
 * @returns the words as they were typed, and what of the last one is to be left out
 */
function withColons(words: readonly string[]): { readonly line: string[]; readonly typed: string } {
  const line: string[] = [];
  let typed = '';
  for (const [i, word] of words.entries()) {
    const [before, sign] = [line.at(-1), word === ':' || words[i - 1] === ':'];
    typed = '';
    if (before === undefined || !sign || before.startsWith('-')) line.push(word);
    else {
      typed = word === ':' ? `${before}:` : before;
      line[line.length - 1] = before + word;
    }
  }
  return { line, typed };
}

/** The command that complete words lead to, and how many arguments of it are given. */
function walk(program: Command, words: readonly string[]): { command: Command; given: number } {
  let command = program;
  let given = 0;
  for (let i = 0; i < words.length; i += 1) {
    const word = words[i] ?? '';
    if (word.startsWith('-')) {
      if (!word.includes('=') && takesValue(findOption(command, word))) i += 1;
      continue;
    }
    const below = command.commands.find((one) => one.name() === word);
    if (below === undefined) given += 1;
    else command = below;
  }
  return { command, given };
}

/**
 * What could stand in place of the last word. Empty where it may be anything.
 * @param words those after the program's name, up to the cursor
 */
export async function complete(program: Command, words: readonly string[], lists: Lists): Promise<Suggestion[]> {
  const { line, typed } = withColons(withoutEqualSigns(words));
  const found = await completeLine(program, line, lists);
  return found.map(({ word, ...rest }) => ({ word: word.slice(typed.length), ...rest }));
}

async function completeLine(program: Command, line: readonly string[], lists: Lists): Promise<Suggestion[]> {
  const current = line.at(-1) ?? '';
  const before = line.slice(0, -1);
  const { command, given } = walk(program, before);
  const help = command.createHelp();
  const starting = (found: readonly Suggestion[], start = current): Suggestion[] =>
    found.filter(({ word }) => word.toLowerCase().startsWith(start.toLowerCase()));

  const waiting = findOption(command, before.at(-1) ?? '');
  if (takesValue(waiting)) return starting(await valuesOf(waiting.long ?? '', waiting.argChoices, lists));
  const [flag = '', start] = current.split(/=(.*)/s);
  if (start !== undefined && flag.startsWith('--')) {
    const option = findOption(command, flag);
    const found = starting(await valuesOf(flag, option?.argChoices, lists), start);
    return found.map(({ word }) => ({ word: `${flag}=${word}` }));
  }
  if (current.startsWith('-')) {
    return starting(
      help.visibleOptions(command).map(({ long, description }) => ({ word: long ?? '', about: description })),
    );
  }
  if (command.commands.length > 0 && given === 0) {
    const commands = help.visibleCommands(command);
    return starting(commands.map((one) => ({ word: one.name(), about: one.description() })));
  }
  const argument = command.registeredArguments[given];
  return argument === undefined ? [] : starting(await valuesOf(argument.name(), argument.argChoices, lists));
}
