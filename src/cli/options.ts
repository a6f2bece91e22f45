import { delimiter } from 'node:path';
import { Option } from 'commander';
import { EMPHASIS_NAMES, UNIPC_VARIANTS } from '../request/limits.js';
import { toNumber } from '../request/number-text.js';

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

/** Numbers joined by commas or spaces; what is no number stays text, which the schema refuses. */
export function numbersFlag(flags: string, description: string): Option {
  return new Option(flags, description).argParser((text: string) =>
    text
      .trim()
      .split(/[\s,]+/)
      .map(toNumber),
  );
}

/** The same flag for a field of another name. */
export function forField(option: Option, field: string): Option {
  return Object.assign(option, { attributeName: () => field });
}

function withDefault(description: string, shown: number | string | undefined): string {
  return shown === undefined ? description : `${description} (default: ${shown})`;
}

/** A flag that may be given again; each adds a value to the list. */
export function listFlag(flags: string, description: string): Option {
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
    textFlag(
      '--vae <file|name>',
      "VAE in the place of the model's: a file, a folder, a name, none, or automatic: MODEL.vae.safetensors beside it",
      'automatic',
    ),
    textFlag('--prediction-type <type>', 'epsilon or v_prediction'),
    switchFlag('--zero-terminal-snr', 'rescale the noise so that the last step has no signal'),
    numberFlag('--text-heads <n>', 'attention heads of the text encoder'),
    numberFlag('--unet-heads <n>', 'attention heads of the UNet'),
    numberFlag('--scale-factor <x>', "factor between the VAE's latents and the UNet's"),
  ];
}

/** What a sampler and its schedule read besides their names; without a flag the webui's defaults. */
export function samplingFlags(): Option[] {
  return [
    numbersFlag('--sigmas <list>', "a schedule of one's own, e.g. 14.6,5,1,0, instead of --steps and --scheduler"),
    numberFlag('--eta <x>', 'noise of ancestral and SDE samplers (default: 1) and of DDIM (default: 0)'),
    numberFlag('--s-churn <x>', 'noise that Euler, Heun and DPM2 add at each step', 0),
    numberFlag('--s-tmin <x>', 'smallest sigma at which they do', 0),
    numberFlag('--s-tmax <x>', 'largest sigma at which they do; 0 = any', 0),
    numberFlag('--s-noise <x>', 'factor of noise that is added', 1),
    forField(numberFlag('--ensd <n>', 'added to the seed for noise after the start', 0), 'etaNoiseSeedDelta'),
    numberFlag('--sigma-min <x>', "smallest sigma of the schedule (default: the model's)"),
    numberFlag('--sigma-max <x>', "largest sigma of the schedule (default: the model's)"),
    numberFlag('--rho <x>', 'exponent of Karras (default: 7) and Polyexponential (default: 1)'),
    forField(numberFlag('--beta-alpha <x>', 'of the Beta schedule', 0.6), 'betaDistAlpha'),
    forField(numberFlag('--beta-beta <x>', 'of the Beta schedule', 0.6), 'betaDistBeta'),
    forField(switchFlag('--discard-penultimate', 'drop the last sigma but one'), 'alwaysDiscardNextToLastSigma'),
    forField(switchFlag('--old-karras-sigmas', 'schedules from 10 to 0.1'), 'useOldKarrasSchedulerSigmas'),
    forField(switchFlag('--sgm-noise', "start as Stability AI's code does"), 'sgmNoiseMultiplier'),
    forField(switchFlag('--whole-timesteps', 'round the timesteps of sigmas'), 'enableQuantization'),
    forField(textFlag('--unipc-variant <name>', `one of ${UNIPC_VARIANTS.join(', ')}`, 'bh1'), 'uniPcVariant'),
    forField(
      textFlag('--unipc-skip <name>', 'time_uniform, time_quadratic or logSNR', 'time_uniform'),
      'uniPcSkipType',
    ),
    forField(numberFlag('--unipc-order <n>', '1 to 3', 3), 'uniPcOrder'),
  ];
}

/** What turns the start's noise. */
export function variationFlags(): Option[] {
  const resize = (side: string): Option =>
    numberFlag(`--seed-resize-from-${side} <n>`, 'pixels of a picture whose noise is kept in the middle', 0);
  return [
    numberFlag('--subseed <n>', 'of the variation; counts up while the pictures share --seed; -1 = random', -1),
    numberFlag('--subseed-strength <x>', 'how far towards the variation, 0 to 1', 0),
    forField(resize('width'), 'seedResizeFromW'),
    forField(resize('height'), 'seedResizeFromH'),
  ];
}

/** `--no-trail` as a switch like any other: on where it is given, in the environment and the settings file too. */
export function noTrailFlag(): Option {
  const option = switchFlag('--no-trail', "write files without the plan and the latents' hashes (see sdgen verify)");
  return forField(Object.assign(option, { negate: false }), 'noTrail');
}

/** Of a batch; a switch as --no-trail is. */
export function noSheetFlag(): Option {
  const option = switchFlag('--no-sheet', 'write no contact sheet of what --x and --y make');
  return forField(Object.assign(option, { negate: false }), 'noSheet');
}

/** Of every command that makes pictures. */
export function extensionFlag(): Option {
  return listFlag('--extension <file>', 'a module whose hooks take part in every run; again for more');
}

export function showFlag(): Option {
  return switchFlag('--show', 'show the picture in the terminal (iTerm2, WezTerm, kitty, Ghostty, Konsole, mintty)');
}

/** Flags of every command. */
export function debugFlag(): Option {
  return new Option('--debug', 'on an error also print where it happened');
}
