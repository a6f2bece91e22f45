import type { Command } from 'commander';
import { readFlags } from '../flags.js';
import type { Finish, Io } from '../io.js';
import { hiresFlags, imageFlags } from '../picture-flags.js';
import { addRunFlags, type FlagGroup } from '../run-flags.js';

const EXAMPLES = `
Examples:
  $ sdgen txt2img -p "a red fox in the snow" -m models/micro1.safetensors --width 64 --height 64
  $ sdgen txt2img -p "a castle at night" -n "people, text" --sampler "Euler a" --steps 30 --seed 42 --output castle.png
  $ sdgen txt2img -p "a tin robot" --count 2 --batch-size 2 --grid --output robots/
  $ sdgen txt2img -p "a lighthouse" --seed 7 --output - | display
  $ sdgen txt2img -p "a lighthouse" --dry-run --json > plan.json

In a prompt, (word) and (word:1.3) weigh more, [word] less, \\( is a bracket, BREAK starts a new chunk,
[from:to:0.5] changes half-way, [a|b] at every step, AND joins prompts. See how one is read: sdgen explain "a (word:1.3)"`;

const startingPictures = (): FlagGroup => ({ group: 'Picture to begin with:', options: imageFlags() });
const secondPass = (): FlagGroup => ({ group: 'Second pass:', options: hiresFlags() });

/** `sdgen txt2img`: the flags here, the work in run-txt2img. */
export function addTextToImage(program: Command, io: Io, finish: Finish): void {
  const command = program.command('txt2img').description('make pictures from a prompt');
  addRunFlags(command, { second: secondPass() });
  command.addHelpText('after', EXAMPLES).action(async () => {
    const { runTextToImage } = await import('../run-txt2img.js');
    finish(await runTextToImage(readFlags(command, io.env), io));
  });
}

const PLAN_NOTES = `
Examples:
  $ sdgen plan -p "a lighthouse" --width 1024 --height 1024 --batch-size 4
  $ sdgen plan -p "a lighthouse" --seed 7 --json > plan.json && sdgen txt2img --plan plan.json
  $ sdgen plan sketch.png -p "a castle" --seed 7 --json > plan.json && sdgen img2img sketch.png --plan plan.json

Takes the flags of txt2img, and of img2img with pictures; reads no weights and writes nothing. The time is an estimate: the work from the model's header,
at the usual share of the processor's peak, which is measured for a moment.`;

/** `sdgen plan [IMAGE...]`: what txt2img or img2img with the same flags would do, the memory and the time it would take. */
export function addPlan(program: Command, io: Io, finish: Finish): void {
  const command = program
    .command('plan')
    .description('print what txt2img or img2img would do, its memory and its time')
    .argument('[images...]', 'what img2img begins with');
  addRunFlags(command, { first: startingPictures(), second: secondPass() });
  command.addHelpText('after', PLAN_NOTES).action(async (images: string[]) => {
    const { runPlan } = await import('../run-txt2img.js');
    finish(await runPlan(images, readFlags(command, io.env), io));
  });
}
