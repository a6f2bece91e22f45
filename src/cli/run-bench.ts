import { findCheckpoint } from '../checkpoints/find.js';
import type { BenchOptions } from '../native/bench-types.js';
import { loadAddon } from '../native/load.js';
import { benchSchema } from '../request/bench.js';
import { parseWith } from '../request/describe.js';
import { FailureError, UsageError } from '../request/errors.js';
import { asFailure } from '../runtime/failures.js';
import { EXIT } from './failure.js';
import { type Flags, pick } from './flags.js';
import { Interrupt } from './interrupt.js';
import { type Io, writeAll } from './io.js';
import { readCommandOptions } from './settings.js';

/** "a, b" as ["a", "b"]; nothing and "auto" mean all. */
function words(list: string | undefined): { readonly names?: readonly string[] } {
  if (list === undefined || list === 'auto') return {};
  return { names: list.split(',').map((name) => name.trim()) };
}

async function readOptions(flags: Flags, io: Io): Promise<BenchOptions> {
  const given = pick(flags.values, Object.keys(benchSchema.shape));
  const { part, precision, ...rest } = parseWith(benchSchema, given, flags.nameOf);
  const { model, modelsDirs, cwd, device, threads } = readCommandOptions(flags, io);
  const parts = words(part).names;
  const precisions = words(precision).names;
  return {
    ...rest,
    device,
    threads,
    ...(parts === undefined ? {} : { parts }),
    ...(precisions === undefined ? {} : { precisions }),
    ...(model === undefined ? {} : { model: (await findCheckpoint(model, modelsDirs, cwd)).path }),
  };
}

/**
 * Through the addon, which is all that an installed package has; `sdgen-bench` prints the same.
 * @returns the exit code; throws UsageError and FailureError
 */
export async function runBench(flags: Flags, io: Io): Promise<number> {
  const options = await readOptions(flags, io);
  const addon = await (io.addon ?? loadAddon)();
  const interrupt = new Interrupt(io);
  const isJson = flags.values.json === true;
  if (!isJson && io.stderr.isTTY === true) io.stderr.write('measuring; this can take minutes\n');
  const job = addon.bench(options);
  interrupt.signal.addEventListener('abort', () => job.cancel());
  try {
    const { text, json } = await job.promise;
    await writeAll(io.stdout, isJson ? json : text);
    return EXIT.ok;
  } catch (error) {
    if (interrupt.exitCode !== undefined) return interrupt.exitCode;
    const failure = asFailure(error, interrupt.signal);
    // Names of parts, architectures and devices are the engine's to know: what it refuses was asked wrongly.
    const isUsage = failure instanceof FailureError && ['E_INVALID_ARGUMENT', 'E_DEVICE'].includes(failure.code);
    throw isUsage ? new UsageError(failure.message) : failure;
  } finally {
    interrupt.release();
  }
}
