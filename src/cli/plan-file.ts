import { resolve } from 'node:path';
import { readBoundedFile } from '../image/read-file.js';
import type { GenerationPlan } from '../pipeline/plan.js';
import { parsePlan } from '../pipeline/plan.js';
import { FailureError, UsageError } from '../request/errors.js';
import type { RunEvent } from '../runtime/processing-runner.js';
import { warn } from './failure.js';
import type { Flags } from './flags.js';
import type { Io } from './io.js';
import { printable } from './run-info.js';

/** The longest prompt's plan takes a few MB. */
const MAX_PLAN_BYTES = 64 << 20;

/** Flags that say where and how a plan is run and its pictures are kept, not what it is. */
const WITH_PLAN = new Set([
  ...[
    'plan',
    'model',
    'vae',
    'modelsDir',
    'device',
    'precision',
    'threads',
    'output',
    'format',
    'quality',
    'grid',
    'mask',
    'input',
  ],
  ...['noTrail', 'force', 'show', 'json', 'dryRun', 'profile', 'quiet', 'debug'],
]);

/** Of these only what the command line itself says counts beside a plan: it has its own. */
const FROM_FLAGS_ALONE = ['model', 'vae', 'device', 'precision'];

/**
 * The flags that count with --plan.
 * @throws UsageError for a flag that the plan answers already
 */
export function flagsBesidePlan(flags: Flags): Flags {
  const isGiven = (field: string): boolean => flags.origins[field] === 'flag';
  const conflict = Object.keys(flags.values).find((field) => isGiven(field) && !WITH_PLAN.has(field));
  if (conflict !== undefined) {
    throw new UsageError(`--plan says all that decides the pictures: leave out ${flags.nameOf(conflict)}`, conflict);
  }
  const counts = ([field]: [string, unknown]): boolean =>
    WITH_PLAN.has(field) && (isGiven(field) || !FROM_FLAGS_ALONE.includes(field));
  return { ...flags, values: Object.fromEntries(Object.entries(flags.values).filter(counts)) };
}

/**
 * A plan from a file: as it is, or inside of what --dry-run --json printed.
 * @throws FailureError E_IO, E_PLAN naming the file
 */
export async function readPlanFile(file: string, cwd: string): Promise<GenerationPlan> {
  const bytes = await readBoundedFile(resolve(cwd, file), MAX_PLAN_BYTES, 'a plan');
  try {
    const data: unknown = JSON.parse(bytes.toString('utf8').replace(/^\uFEFF/, ''));
    const isDocument = typeof data === 'object' && data !== null && Object.hasOwn(data, 'plan');
    return parsePlan(isDocument ? Reflect.get(data, 'plan') : data);
  } catch (error) {
    if (error instanceof FailureError)
      throw new FailureError(error.code, `${file}: ${error.message}`, { cause: error });
    if (!(error instanceof SyntaxError)) throw error;
    throw new FailureError('E_PLAN', printable(`${file} is not JSON: ${error.message}`), { cause: error });
  }
}

/** Says on stderr when a plan runs elsewhere than it says, and whether that counts. */
export function compareDevices(plan: GenerationPlan, io: Io): (event: RunEvent) => void {
  return (event) => {
    if (event.type !== 'prepared') return;
    const { name, precision } = event.prepared.plan.device;
    if (name === plan.device.name && precision === plan.device.precision) return;
    const told = `the plan is for ${plan.device.name} ${plan.device.precision} and runs on ${name} ${precision}`;
    if (precision === 'fp32' && plan.device.precision === 'fp32') io.stderr.write(`note: ${told}: the same bytes\n`);
    else warn(io, `${told}: the result will differ`);
  };
}
