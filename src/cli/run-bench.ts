import { findCheckpoint } from '../checkpoints/find.js';
import type { BenchOptions } from '../native/bench-types.js';
import { loadAddon } from '../native/load.js';
import { benchSchema } from '../request/bench.js';
import { parseWith } from '../request/describe.js';
import { EXIT } from './failure.js';
import { type Flags, pick } from './flags.js';
import { type Io, writeAll } from './io.js';
import { readCommandOptions } from './settings.js';
import { runToolJob } from './tool-job.js';

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
  const isJson = flags.values.json === true;
  if (!isJson && io.stderr.isTTY === true) io.stderr.write('measuring; this can take minutes\n');
  return runToolJob(
    io,
    () => addon.bench(options),
    async ({ text, json }) => {
      await writeAll(io.stdout, isJson ? json : text);
      return EXIT.ok;
    },
  );
}
