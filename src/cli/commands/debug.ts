import type { Command } from 'commander';
import { DEVICE_NAMES } from '../../request/limits.js';
import { readFlags } from '../flags.js';
import type { Finish, Io } from '../io.js';
import {
  debugFlag,
  modelsDirFlag,
  numberFlag,
  overrideFlags,
  samplingFlags,
  switchFlag,
  textFlag,
} from '../options.js';

const EXAMPLES = `
Examples:
  $ sdgen debug eval --model micro1 --part unet --inputs in.safetensors --output out.safetensors
  $ sdgen debug compare --model micro1 --devices reference,cpu --precision bf16`;
const EVAL_EXAMPLES = `
Examples:
  $ sdgen debug eval --model micro1 --part unet --inputs in.safetensors --output out.safetensors
  $ sdgen debug eval --part sampler --sampler "Euler a" --schedule karras --inputs in.safetensors --output out.safetensors

Tensors, float32 and NCHW:
  text        text.ids [N, T]                          -> text.last, text.penultimate
  unet        unet.x [N, C, H, W], unet.ctx [N, T, W], unet.t [K] (500 without it)
                                                       -> unet.out.t<t> for each t
  vae-decode  vae.z [N, C, H, W], without scale factor -> vae.decoded
  vae-encode  vae.image [N, 3, H, W] in [-1, 1]        -> vae.mean, vae.logvar
  sampler     x0 [N, C, H, W], noise [K, N, C, H, W], sigmas.<schedule>, timesteps.<schedule>
                                                       -> traj.<schedule>.<sampler id>, calls.<schedule>.<sampler id>
A sampler runs on the denoiser D(x, s) = x/(1+s^2) + 0.1 s^2/(1+s^2) tanh(x/sqrt(1+s^2)) and takes its draws from noise.`;
const COMPARE_EXAMPLES = `
Examples:
  $ sdgen debug compare --model micro1
  $ sdgen debug compare --model micro1 --part vae-decode --devices cpu,cpu --precision bf16 --json

The first device computes at fp32; every op of the second, at --precision, gets the first one's values, so that an op's
error is its own. At fp32 bytes must be equal. Exits 1 where an op differs.`;

/** Of the flags of sampling those that a sampler reads once it has its sigmas. */
const SAMPLER_FIELDS = ['eta', 'sChurn', 'sTmin', 'sTmax', 'sNoise', 'uniPcVariant', 'uniPcOrder'];

function addModelFlags(command: Command): void {
  command.addOption(textFlag('-m, --model <file|name>', 'whose parts')).addOption(modelsDirFlag());
  for (const option of overrideFlags()) command.addOption(option);
  command.addOption(numberFlag('--threads <n>', 'threads that compute', 'one per core'));
}

/** `sdgen debug eval|compare`: parts of a model against other implementations and other devices. */
export function addDebug(program: Command, io: Io, finish: Finish): void {
  const debug = program
    .command('debug')
    .description('look into a model: a part on given tensors, two devices op by op')
    .addHelpText('after', EXAMPLES);
  const evaluate = debug
    .command('eval')
    .description('evaluate one part of a model on tensors of a file')
    .addOption(textFlag('--part <name>', 'text, unet, vae-decode, vae-encode or sampler'))
    .addOption(textFlag('--inputs <file>', 'a .safetensors file with the tensors below'))
    .addOption(textFlag('-o, --output <file>', 'where the results go'))
    .addOption(switchFlag('--inner', 'write named inner activations too'));
  addModelFlags(evaluate);
  evaluate
    .addOption(textFlag('--device <name>', DEVICE_NAMES.join(', '), 'reference'))
    .addOption(textFlag('--precision <name>', 'fp32, bf16 or fp16', 'fp32'))
    .addOption(textFlag('--sampler <name>', 'of the part sampler'))
    .addOption(textFlag('--schedule <name>', 'which sigmas.<name> of the file a sampler walks'))
    .addOption(switchFlag('--start-with-signal', 'a sampler starts at sqrt(1 + sigma^2) times x0 instead of sigma'));
  for (const option of samplingFlags()) {
    if (SAMPLER_FIELDS.includes(option.attributeName())) evaluate.addOption(option);
  }
  evaluate
    .addOption(debugFlag())
    .addHelpText('after', EVAL_EXAMPLES)
    .action(async () => {
      const { runEval } = await import('../run-debug.js');
      finish(await runEval(readFlags(evaluate, io.env), io));
    });
  const compare = debug
    .command('compare')
    .description('run one evaluation on two devices and name the first op that differs')
    .addOption(textFlag('--devices <a,b>', 'the yardstick and the one to be measured', 'reference,cpu'))
    .addOption(textFlag('--precision <name>', 'of the second: fp32, bf16 or fp16', 'fp32'))
    .addOption(textFlag('--part <name>', 'text, unet, vae-decode or vae-encode', 'unet'))
    .addOption(textFlag('--inputs <file>', 'as of debug eval (default: noise, at a small size)'))
    .addOption(numberFlag('--tolerance <x>', 'max|a - b| / max|a| of an op (default: by the precision; 0 is bytes)'));
  addModelFlags(compare);
  compare
    .addOption(switchFlag('--json', 'print one JSON document with every op'))
    .addOption(debugFlag())
    .addHelpText('after', COMPARE_EXAMPLES)
    .action(async () => {
      const { runCompare } = await import('../run-debug.js');
      finish(await runCompare(readFlags(compare, io.env), io));
    });
}
