import { Command, CommanderError } from 'commander';
import { VERSION } from '../context/version.js';
import { UsageError } from '../request/errors.js';
import { addBatch } from './commands/batch.js';
import { addBench } from './commands/bench.js';
import { addCompletion } from './commands/completion.js';
import { addConfig } from './commands/config.js';
import { addDebug } from './commands/debug.js';
import { addDoctor } from './commands/doctor.js';
import { addExplain } from './commands/explain.js';
import { addFleet } from './commands/fleet.js';
import { addImageToImage } from './commands/img2img.js';
import { addInfo } from './commands/info.js';
import { addModels } from './commands/models.js';
import { addServe } from './commands/serve.js';
import { addPlan, addTextToImage } from './commands/txt2img.js';
import { addUpscale } from './commands/upscale.js';
import { addVerify } from './commands/verify.js';
import { addWorker } from './commands/worker.js';
import { EXIT, reportError } from './failure.js';
import { type Finish, type Io, processIo } from './io.js';
import { peerFlagHint } from './peer-flags.js';

const ABOUT = 'Stable Diffusion for people who live in a terminal.';
const EXAMPLES = `
Examples:
  $ sdgen txt2img --prompt "a red fox in the snow" --model models/micro1.safetensors
  $ sdgen img2img sketch.png --prompt "a castle" --denoising-strength 0.6
  $ sdgen upscale outputs/00001-7.png --scale 2
  $ sdgen explain "a (red:1.3) fox in the [snow:rain:0.5]"
  $ sdgen info outputs/00001-7.png
  $ sdgen models list
  $ sdgen doctor

Every flag can also be given by the environment (SDGEN_CFG_SCALE=5 is --cfg-scale 5) or kept in a file (sdgen config set
cfg-scale 5): a flag wins over the environment, the environment over the file.
Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.`;

function buildProgram(io: Io, finish: Finish): Command {
  const program = new Command('sdgen');
  program
    .description(ABOUT)
    .version(VERSION, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .addHelpText('after', EXAMPLES)
    .showSuggestionAfterError(true)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: () => undefined, // reported below, on one line
      getOutHelpWidth: () => io.stdout.columns ?? 100,
      getErrHelpWidth: () => 100,
      getOutHasColors: () => false,
    });
  addTextToImage(program, io, finish);
  addImageToImage(program, io, finish);
  addPlan(program, io, finish);
  addUpscale(program, io, finish);
  addBatch(program, io, finish);
  addExplain(program, io, finish);
  addServe(program, io, finish);
  addWorker(program, io, finish);
  addFleet(program, io, finish);
  addInfo(program, io, finish);
  addVerify(program, io, finish);
  addModels(program, io, finish);
  addDoctor(program, io, finish);
  addBench(program, io, finish);
  addDebug(program, io, finish);
  addConfig(program, io, finish);
  addCompletion(program, io, finish);
  return program;
}

/** Commander's "error: unknown option '--foo'\n(Did you mean --bar?)" as one sentence, or what other programs' flag is here. */
function asUsageError(error: CommanderError, program: Command, argv: readonly string[]): UsageError {
  const [, unknown] = /^error: unknown option '([^\n]*)'/.exec(error.message) ?? [];
  const hint = unknown === undefined ? undefined : peerFlagHint(unknown, program, argv);
  if (hint !== undefined) return new UsageError(`unknown option '${unknown}'; ${hint}; see sdgen --help`);
  const text = error.message
    .replace(/^error: /, '')
    .replace(/\s*\n\s*\(Did you mean (.*)\?\)/s, '; did you mean $1?')
    .replace(/\s+/g, ' ');
  return new UsageError(`${text}${text.endsWith('?') ? '' : ';'} see sdgen --help`);
}

/**
 * The whole command line, in this process.
 * @param argv the words after the program's name
 * @returns the exit code; nothing here ends the process
 */
export async function main(argv: readonly string[], io: Io = processIo()): Promise<number> {
  const debug = argv.includes('--debug') || /^(1|true|yes|on)$/i.test(io.env.SDGEN_DEBUG ?? '');
  let code: number = EXIT.ok;
  const program = buildProgram(io, (result) => {
    code = result;
  });
  try {
    if (argv.length === 0) {
      io.stdout.write(program.helpInformation());
      return await reportError(new UsageError('a command is needed; see sdgen --help'), io, debug);
    }
    await program.parseAsync([...argv], { from: 'user' });
    return code;
  } catch (error) {
    if (!(error instanceof CommanderError)) return reportError(error, io, debug);
    if (error.exitCode === 0) return EXIT.ok;
    return reportError(asUsageError(error, program, argv), io, debug);
  }
}
