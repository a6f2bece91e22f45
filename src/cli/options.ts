import { delimiter } from 'node:path';
import { Option } from 'commander';
import { EMPHASIS_NAMES } from '../request/limits.js';
import { toNumber } from './flags.js';

/** Where pictures go unless told otherwise. */
export const DEFAULT_FOLDER = 'outputs';

/** A flag whose value is a number; the default is only shown, the request's schema applies it. */
export function numberFlag(flags: string, description: string, shown?: number | string): Option {
  return new Option(flags, withDefault(description, shown)).argParser(toNumber);
}

export function textFlag(flags: string, description: string, shown?: string): Option {
  return new Option(flags, withDefault(description, shown));
}

export function switchFlag(flags: string, description: string): Option {
  return new Option(flags, description);
}

/** The same flag for a field of another name. */
export function forField(option: Option, field: string): Option {
  return Object.assign(option, { attributeName: () => field });
}

function withDefault(description: string, shown: number | string | undefined): string {
  return shown === undefined ? description : `${description} (default: ${shown})`;
}

/** A flag that may be given again; each adds a value to the list. */
function listFlag(flags: string, description: string): Option {
  return new Option(flags, description).argParser((text: string, previous?: string[]) => [...(previous ?? []), text]);
}

function onOffFlag(flags: string, description: string, shown: 'on' | 'off'): Option {
  const option = new Option(flags, withDefault(description, shown));
  return option.argParser((text: string) => (text === 'on' ? true : text === 'off' ? false : text));
}

/** How a prompt is read. */
export function promptFlags(): Option[] {
  const style = listFlag('--style <name>', 'put the words of a style around the prompts; again for more');
  return [
    forField(style, 'styles'),
    listFlag('--styles-file <file>', 'a styles.csv of the webui; again for more (default: ./styles.csv)'),
    textFlag('--emphasis <mode>', `what weights do: ${EMPHASIS_NAMES.join(', ')}`, 'Original'),
    forField(onOffFlag('--comments <on|off>', 'whether # in a prompt begins a comment', 'on'), 'promptComments'),
    forField(switchFlag('--old-schedules', 'read [a:b:1.5] as the webui before 1.6 does'), 'oldPromptSchedules'),
  ];
}

/** Flags of every command that reads models. */
export function modelsDirFlag(): Option {
  return new Option(
    '--models-dir <dir>',
    `folder of models; again, or several joined by "${delimiter}", for more ` +
      '(default: ./models and ~/.local/share/sdgen/models)',
  ).argParser((text: string, previous?: string[]) => [...(previous ?? []), ...text.split(delimiter).filter(Boolean)]);
}

/** What the model's file cannot tell. */
export function overrideFlags(): Option[] {
  return [
    textFlag('--prediction-type <type>', 'epsilon or v_prediction'),
    numberFlag('--text-heads <n>', 'attention heads of the text encoder'),
    numberFlag('--unet-heads <n>', 'attention heads of the UNet'),
    numberFlag('--scale-factor <x>', "factor between the VAE's latents and the UNet's"),
  ];
}

/** Flags of every command. */
export function debugFlag(): Option {
  return new Option('--debug', 'on an error also print where it happened');
}
