import { resolve } from 'node:path';
import { findCheckpoint } from '../checkpoints/find.js';
import { resolveVae } from '../checkpoints/find-vae.js';
import type { EvalOptions } from '../native/debug-types.js';
import { loadAddon } from '../native/load.js';
import type { Capabilities, OpenOptions } from '../native/types.js';
import { compareSchema, type EvalRequest, evalSchema } from '../request/debug.js';
import { parseWith } from '../request/describe.js';
import { UsageError } from '../request/errors.js';
import { resolveDevice } from '../runtime/device.js';
import { findSampler } from '../sampling/samplers.js';
import { EXIT } from './failure.js';
import { type Flags, pick } from './flags.js';
import { type Io, writeAll } from './io.js';
import { readCommandOptions } from './settings.js';
import { runToolJob } from './tool-job.js';

/** Where the environment and the settings file say nothing: what is compared with other implementations. */
const YARDSTICK = { device: 'reference', precision: 'fp32' } as const;

async function openOptions(flags: Flags, io: Io, device: string, capabilities: Capabilities): Promise<OpenOptions> {
  const { model, vae, modelsDirs, cwd, threads, overrides } = readCommandOptions(flags, io);
  if (model === undefined) throw new UsageError('--model is missing: a file or a name', 'model');
  const { precision = YARDSTICK.precision } = flags.values;
  const found = resolveDevice({ device, precision: String(precision) }, capabilities);
  const file = await findCheckpoint(model, modelsDirs, cwd);
  const other = await resolveVae(vae, file, modelsDirs, cwd);
  return {
    path: file.path,
    ...(other === undefined ? {} : { vae: other }),
    device: found.name,
    precision: found.precision,
    threads,
    overrides,
  };
}

function samplerOptions(request: EvalRequest): Extract<EvalOptions, { part: 'sampler' }>['sampler'] {
  const { sampler, schedule, startWithSignal } = request;
  if (sampler === undefined) throw new UsageError('--sampler is missing: of the part sampler', 'sampler');
  if (schedule === undefined) throw new UsageError('--schedule is missing: of the part sampler', 'schedule');
  const info = findSampler(sampler);
  const { eta = info.eta, sChurn = 0, sTmin = 0, sTmax = 0, sNoise = 1, uniPcVariant, uniPcOrder } = request;
  const options = {
    eta,
    sChurn,
    sTmin,
    sTmax: sTmax === 0 ? Number.MAX_VALUE : sTmax,
    sNoise,
    ...(uniPcVariant === undefined ? {} : { unipcVariant: uniPcVariant }),
    ...(uniPcOrder === undefined ? {} : { unipcOrder: uniPcOrder }),
  };
  return { id: info.id, schedule, options, startWithSignal };
}

/** @returns the exit code; throws UsageError and FailureError */
export async function runEval(flags: Flags, io: Io): Promise<number> {
  const given = pick(flags.values, Object.keys(evalSchema.shape));
  // Settings speak of pictures: what is written here is named here.
  if (flags.origins.output !== 'flag') delete given.output;
  const request = parseWith(evalSchema, given, flags.nameOf);
  const { part, inner } = request;
  const files = { inputs: resolve(io.cwd, request.inputs), output: resolve(io.cwd, request.output) };
  const addon = await (io.addon ?? loadAddon)();
  const options: EvalOptions =
    part === 'sampler'
      ? { ...files, part, sampler: samplerOptions(request) }
      : {
          ...(await openOptions(flags, io, String(flags.values.device ?? YARDSTICK.device), addon.capabilities())),
          ...files,
          part,
          inner,
        };
  return runToolJob(
    io,
    () => addon.debugEval(options),
    async () => EXIT.ok,
  );
}

/** @returns the exit code: 1 where an op differs; throws UsageError and FailureError */
export async function runCompare(flags: Flags, io: Io): Promise<number> {
  const given = pick(flags.values, Object.keys(compareSchema.shape));
  if (typeof given.devices === 'string') given.devices = given.devices.split(',').map((name) => name.trim());
  const { part, inputs, tolerance, devices } = parseWith(compareSchema, given, flags.nameOf);
  const [first = '', second = ''] = devices;
  const addon = await (io.addon ?? loadAddon)();
  const capabilities = addon.capabilities();
  const yardstick = resolveDevice({ device: first, precision: YARDSTICK.precision }, capabilities);
  const measured = await openOptions(flags, io, second, capabilities);
  const options = {
    ...measured,
    device: yardstick.name,
    precision: yardstick.precision,
    part,
    second: { device: measured.device, precision: measured.precision },
    ...(inputs === undefined ? {} : { inputs: resolve(io.cwd, inputs) }),
    ...(tolerance === undefined ? {} : { tolerance }),
  };
  return runToolJob(
    io,
    () => addon.debugCompare(options),
    async ({ text, ...comparison }) => {
      await writeAll(io.stdout, flags.values.json === true ? `${JSON.stringify(comparison, null, 2)}\n` : text);
      return comparison.ops.some((op) => op.differs) ? EXIT.failure : EXIT.ok;
    },
  );
}
