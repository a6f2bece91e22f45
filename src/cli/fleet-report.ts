import { shortHash } from '../checkpoints/hash.js';
import type { FleetStatus } from '../fleet/status.js';
import { printable } from './run-info.js';

/** Rows of words as columns that stand below each other; numbers to the right. */
function table(rows: readonly (readonly (string | number)[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => String(row[column] ?? '').length)));
  const line = (row: readonly (string | number)[]): string =>
    row
      .map((cell, i) =>
        typeof cell === 'number' ? String(cell).padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0),
      )
      .join('  ')
      .trimEnd();
  return rows.map((row) => `${printable(line(row))}\n`).join('');
}

const plural = (count: number, word: string): string => `${count} ${word}${count === 1 ? '' : 's'}`;

function workersText({ workers }: FleetStatus): string {
  const rate = workers.reduce((sum, one) => sum + one.rate, 0);
  const working = workers.filter(({ state }) => state === 'working').length;
  const head = `${plural(workers.length, 'worker')}, ${working} working, ${rate.toFixed(1)} pictures a minute\n`;
  if (workers.length === 0) return head;
  const rows = workers.map((one) => [
    ...[one.name, one.state, one.version, `${one.abilities.device} ${one.abilities.precisions.join(' ')}`],
    ...[one.loaded ?? '-', one.done, one.failed, one.lost, Math.round(one.rate), `${Math.round(one.busy * 100)} %`],
  ]);
  const titles = ['worker', 'state', 'sdgen', 'device', 'model', 'done', 'failed', 'lost', 'a minute', 'busy'];
  const troubles = workers.flatMap(({ name, trouble }) => (trouble === null ? [] : [`${name}: ${trouble}`]));
  return head + table([titles, ...rows]) + troubles.map((text) => printable(`last trouble of ${text}\n`)).join('');
}

function classesText({ classes }: FleetStatus): string {
  const open = classes.filter(({ waiting, running, done, failed }) => waiting + running + done + failed > 0);
  if (open.length === 0) return 'nothing waits\n';
  const rows = open.map(({ work, waiting, running, done, failed, workers }) => [
    `${work.model.name} ${shortHash(work.model.sha256)}${work.vae === null ? '' : ` with ${work.vae.name}`}`,
    `${work.device === 'any' ? '' : `${work.device} `}${work.precision}`,
    ...[waiting, running, done, failed, workers],
  ]);
  return table([['plans for', 'on', 'waiting', 'running', 'done', 'failed', 'workers'], ...rows]);
}

/** What `sdgen fleet` prints. */
export function fleetText(status: FleetStatus): string {
  const { aside, failures } = status;
  return [
    workersText(status),
    classesText(status),
    ...aside.map(({ name, why }) => printable(`set aside: ${name}: ${why}\n`)),
    ...failures.map(({ model, task, tries, reason }) =>
      printable(
        `failed: ${model} plan ${task.slice(0, 12)} after ${plural(tries, 'try').replace('trys', 'tries')}: ${reason}\n`,
      ),
    ),
  ].join('');
}
