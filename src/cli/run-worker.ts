import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { cacheFolder } from '../checkpoints/hash.js';
import { OptionStore } from '../context/options.js';
import type { CommandOptions } from '../context/runtime-context.js';
import { NUMERICS_VERSION, VERSION } from '../context/version.js';
import type { Abilities } from '../fleet/classes.js';
import { readModels, type WorkerModels } from '../fleet/models.js';
import { FleetWorker } from '../fleet/worker.js';
import { PLAN_FORMAT } from '../pipeline/plan.js';
import { parseWith } from '../request/describe.js';
import { FailureError, UsageError } from '../request/errors.js';
import { workerSchema } from '../request/fleet.js';
import { resolveDevice } from '../runtime/device.js';
import { CachedModelProvider, type ModelProvider } from '../runtime/model-provider.js';
import { ProcessingRunner } from '../runtime/processing-runner.js';
import { EXIT, warn } from './failure.js';
import { type Flags, pick } from './flags.js';
import { openFleet, readQueueOptions } from './fleet-access.js';
import { type Io, writeAll } from './io.js';
import { readCommandOptions } from './settings.js';

/** What this machine can do for the fleet. */
async function readAbilities(
  provider: ModelProvider,
  options: CommandOptions,
  models: WorkerModels,
  store: string | null,
): Promise<Abilities> {
  const capabilities = await provider.capabilities();
  const { name, precision } = resolveDevice(options, capabilities);
  const all = capabilities.devices.find((device) => device.name === name)?.precisions ?? [];
  const identity = ({ name: known, sha256 }: WorkerModels['models'][number]) => ({ name: known, sha256 });
  return {
    planFormat: PLAN_FORMAT,
    numerics: NUMERICS_VERSION,
    models: models.models.map(identity),
    vaes: models.vaes.map(identity),
    device: name,
    precisions: options.precision === 'auto' ? [...all] : [precision],
    store,
  };
}

/** Ctrl-C and SIGTERM drain; a second one stops. */
function listenToSignals(worker: FleetWorker, io: Io, say: (message: string) => void): () => void {
  let times = 0;
  const onSignal = (): void => {
    times += 1;
    if (times > 1) {
      worker.stop();
      return;
    }
    say('draining: no new plan is taken');
    worker.drain();
  };
  io.signals.on('SIGINT', onSignal);
  io.signals.on('SIGTERM', onSignal);
  return () => {
    io.signals.off('SIGINT', onSignal);
    io.signals.off('SIGTERM', onSignal);
  };
}

/** Works until SIGINT or SIGTERM. @returns the exit code; throws UsageError and FailureError */
export async function runWorker(flags: Flags, io: Io): Promise<number> {
  const { values } = flags;
  const queueOptions = readQueueOptions(flags);
  const { queue } = queueOptions;
  if (queue === undefined) throw new UsageError('--queue is missing: redis://host:port', 'queue');
  const options = parseWith(workerSchema, pick(values, Object.keys(workerSchema.shape)), flags.nameOf);
  const say = (message: string): void => {
    if (values.quiet !== true) io.stderr.write(`${message}\n`);
  };
  const hash = { cacheFolder: cacheFolder(io.env), onWarning: (message: string) => warn(io, message) };
  const provider = new CachedModelProvider({ ...hash, keepModels: options.keepModels, addon: io.addon });
  const access = await openFleet({ ...queueOptions, queue }, io);
  try {
    const commandOptions = { ...readCommandOptions(flags, io), stylesFiles: [] };
    const device = resolveDevice(commandOptions, await provider.capabilities());
    const onSkip = (path: string, why: string): void => say(`not taken: ${path}: ${why}`);
    const onRead = (path: string): void => say(`reading ${path} for its hash`);
    const models = await readModels(provider, commandOptions, device, { ...hash, onRead, onSkip });
    if (models.models.length === 0) {
      throw new FailureError('E_MODEL_NOT_FOUND', `there is no model in ${commandOptions.modelsDirs.join(' or ')}`);
    }
    const abilities = await readAbilities(provider, commandOptions, models, access.stores.shared?.id ?? null);
    const name = options.name ?? `${hostname()}-${process.pid}`;
    const worker = new FleetWorker({
      ...access,
      abilities,
      shop: {
        runner: new ProcessingRunner({ provider, options: new OptionStore() }),
        models,
        // A plan names its model; --model only says which ones are taken.
        commandOptions: { ...commandOptions, device: abilities.device },
        name,
      },
      concurrency: options.concurrency,
      leaseMs: options.lease * 1000,
      id: `${name}-${randomBytes(4).toString('hex')}`,
      facts: { host: hostname(), pid: process.pid, version: VERSION, startedAt: new Date().toISOString() },
      onLog: (level, message) => (level === 'warn' ? warn(io, message) : say(message)),
    });
    const release = listenToSignals(worker, io, say);
    const many = `${models.models.length} ${models.models.length === 1 ? 'model' : 'models'}`;
    const ready = `worker ${name} takes plans from ${access.shown}: ${abilities.device}, ${abilities.precisions.join(' ')}, ${many}`;
    await writeAll(io.stdout, values.json === true ? `${JSON.stringify({ worker: name })}\n` : `${ready}\n`);
    try {
      await worker.run();
    } finally {
      release();
    }
    say('drained');
    return EXIT.ok;
  } finally {
    access.redis.disconnect();
    await provider.dispose();
  }
}
