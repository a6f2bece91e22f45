import { delimiter } from 'node:path';
import { Option } from 'commander';
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

function withDefault(description: string, shown: number | string | undefined): string {
  return shown === undefined ? description : `${description} (default: ${shown})`;
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
