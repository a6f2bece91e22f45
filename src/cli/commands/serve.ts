import type { Command } from 'commander';
import { DEVICE_NAMES, PRECISION_NAMES, SERVER_DEFAULTS } from '../../request/limits.js';
import { readFlags } from '../flags.js';
import type { Finish, Io } from '../io.js';
import {
  debugFlag,
  extensionFlag,
  listFlag,
  modelsDirFlag,
  numberFlag,
  overrideFlags,
  switchFlag,
  textFlag,
} from '../options.js';
import { auditFlag, queueFlags, storeFlag } from '../queue-flags.js';

const EXAMPLES = `
Examples:
  $ sdgen serve --model models/micro1.safetensors
  $ sdgen serve --model micro1 --port 0 --json
  $ sdgen serve --model micro1 --host 0.0.0.0 --api-auth me:secret --allow-host pictures.example
  $ curl -s http://127.0.0.1:7860/sdapi/v1/txt2img -H 'content-type: application/json' -d '{"prompt": "a fox"}'

Answers AUTOMATIC1111's /sdapi/v1, and jobs of its own under /v1; /docs shows every route.
Ctrl-C or SIGTERM lets the running job finish within --grace; a second one does not wait.`;

/** `sdgen serve`: the flags here, the work in run-serve. */
export function addServe(program: Command, io: Io, finish: Finish): void {
  const command = program.command('serve');
  const { maxPixels, maxSteps, maxImages, maxBodyMb, maxQueue } = SERVER_DEFAULTS;
  command
    .description("answer the webui's HTTP API")
    .optionsGroup('Server:')
    .addOption(textFlag('--host <address>', 'where to listen; 0.0.0.0 = every network', SERVER_DEFAULTS.host))
    .addOption(numberFlag('--port <n>', '0 = one that is free', SERVER_DEFAULTS.port))
    .addOption(textFlag('--api-auth <user:pass>', 'who may come in; several joined by commas'))
    .addOption(listFlag('--allow-host <name>', 'a host name that it may be called by; again for more'))
    .addOption(switchFlag('--allow-url-images', 'take pictures by http(s) URL, from public hosts alone'))
    .addOption(
      numberFlag('--grace <seconds>', 'how long a running job may take to finish at the end', SERVER_DEFAULTS.grace),
    )
    .addOption(textFlag('--output-dir <folder>', 'where save_images writes', SERVER_DEFAULTS.outputDir))
    .addOption(switchFlag('--fake-inference', 'plain colours instead of pictures, to test clients with'))
    .optionsGroup('Other machines:');
  for (const option of [...queueFlags(), storeFlag(), auditFlag()]) command.addOption(option);
  command
    .optionsGroup('Limits:')
    .addOption(numberFlag('--max-pixels <n>', 'of one picture', maxPixels))
    .addOption(numberFlag('--max-steps <n>', 'of one request', maxSteps))
    .addOption(numberFlag('--max-images <n>', 'of one request: batch_size times n_iter', maxImages))
    .addOption(numberFlag('--max-body-mb <n>', 'MiB of one request', maxBodyMb))
    .addOption(numberFlag('--max-queue <n>', 'jobs that wait or run; more get 429', maxQueue))
    .optionsGroup('Model and machine:')
    .addOption(
      textFlag('-m, --model <file|name>', 'the model at the start; requests may name others of the models folders'),
    )
    .addOption(modelsDirFlag())
    .addOption(numberFlag('--keep-models <n>', 'models that stay in memory', SERVER_DEFAULTS.keepModels))
    .addOption(listFlag('--styles-file <file>', 'a styles.csv of the webui; again for more (default: ./styles.csv)'))
    .addOption(textFlag('--device <name>', DEVICE_NAMES.join(', '), 'auto'))
    .addOption(textFlag('--precision <name>', PRECISION_NAMES.join(', '), 'auto'))
    .addOption(numberFlag('--threads <n>', 'threads that compute', 'one per core'))
    .addOption(extensionFlag())
    .optionsGroup("Model facts (default: the file's metadata, else its family's):");
  for (const option of overrideFlags()) command.addOption(option);
  command
    .optionsGroup('Output:')
    .addOption(switchFlag('--json', 'print one line of JSON when ready: {"url": …}'))
    .addOption(switchFlag('-q, --quiet', 'log warnings and errors alone'))
    .addOption(debugFlag())
    .addHelpText('after', EXAMPLES)
    .action(async () => {
      const { runServe } = await import('../run-serve.js');
      finish(await runServe(readFlags(command, io.env), io));
    });
}
