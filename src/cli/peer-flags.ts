import type { Command } from 'commander';

/**
 * What other programs of the field call our flags: stable-diffusion.cpp's, the arguments of diffusers' pipelines, the
 * webui's API and CompVis's scripts. Written with dashes; an underscore in what was given counts as one.
 */
export const PEER_FLAGS: Readonly<Record<string, string>> = {
  '--strength': '--denoising-strength',
  '--denoise': '--denoising-strength',
  '--cfg': '--cfg-scale',
  '--guidance': '--cfg-scale',
  '--guidance-scale': '--cfg-scale',
  '--image-guidance-scale': '--image-cfg-scale',
  '--img-cfg-scale': '--image-cfg-scale',
  '--negative': '--negative-prompt',
  '--num-inference-steps': '--steps',
  '--num-steps': '--steps',
  '--ddim-steps': '--steps',
  '--ddim-eta': '--eta',
  '--sampling-method': '--sampler',
  '--sampler-name': '--sampler',
  '--sampler-index': '--sampler',
  '--schedule': '--scheduler',
  '--batch-count': '--count',
  '--n-iter': '--count',
  '--num-images': '--count',
  '--num-images-per-prompt': '--batch-size',
  '--n-samples': '--batch-size',
  '--mask-image': '--mask',
  '--init-mask': '--mask',
  '--inpainting-fill': '--masked-content',
  '--prediction': '--prediction-type',
  '--type': '--precision',
  '--dtype': '--precision',
  '--ckpt': '--model',
  '--checkpoint': '--model',
  '--ckpt-dir': '--models-dir',
  '--vae-path': '--vae',
  '--outdir': '--output',
  '--upscale-model': '--upscaler',
  '-H': '--height',
  '--H': '--height',
  '-W': '--width',
  '--W': '--width',
  '-s': '--seed',
  '-S': '--seed',
  '-t': '--threads',
  '-b': '--count',
};

/** Their names of the picture to begin with, which is no flag here. */
const START_PICTURE: ReadonlySet<string> = new Set(['-i', '--init-img', '--init-image', '--init-images', '--image']);

const START_HINT = 'the picture to begin with needs no flag, as in `sdgen img2img sketch.png`';

function commandOf(program: Command, argv: readonly string[]): Command {
  const inner = program.commands.find((command) => [command.name(), ...command.aliases()].includes(argv[0] ?? ''));
  return inner === undefined ? program : commandOf(inner, argv.slice(1));
}

/**
 * What to write instead of a flag that only other programs have; undefined for a name that is not theirs, and where the
 * command has no flag like it.
 * @param flag as commander names it: with what follows a `=`
 * @param argv the words after the program's name
 */
export function peerFlagHint(flag: string, program: Command, argv: readonly string[]): string | undefined {
  const long = flag.startsWith('--');
  const name = long ? (flag.split('=', 1)[0] ?? flag).replaceAll('_', '-') : flag.slice(0, 2);
  const command = commandOf(program, argv);
  const takesPictures = command.registeredArguments.some((argument) => argument.name() === 'images');
  if (START_PICTURE.has(name)) return takesPictures || command.name() === 'txt2img' ? START_HINT : undefined;
  const ours = Object.hasOwn(PEER_FLAGS, name) ? PEER_FLAGS[name] : name; // the name itself: for its underscores
  return command.options.some((option) => option.long === ours) ? `${ours} is its name here` : undefined;
}
