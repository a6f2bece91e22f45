import type { Command } from 'commander';
import { listKnownCheckpoints } from '../checkpoints/find.js';
import type { FileKind } from '../checkpoints/kind.js';
import { loadAddon } from '../native/load.js';
import { complete, type Suggestion } from './completion.js';
import { COMPLETION_SCRIPTS, SHELLS } from './completion-scripts.js';
import { EXIT } from './failure.js';
import type { Flags } from './flags.js';
import { type Io, writeAll } from './io.js';
import { readCommandOptions } from './settings.js';

/** @returns the exit code */
export async function printScript(shell: string, io: Io): Promise<number> {
  const known = SHELLS.find((one) => one === shell);
  if (known === undefined) throw new TypeError(`no script for ${shell}`); // the argument's choices are these
  await writeAll(io.stdout, COMPLETION_SCRIPTS[known]);
  return EXIT.ok;
}

const line = ({ word, about }: Suggestion): string =>
  `${word}${about === undefined ? '' : `\t${about}`}`.replace(/[\n\r]+/g, ' ');

/**
 * What could stand at the cursor, one a line, its description after a tab. Whoever presses a key in the middle of a line
 * wants no error: what cannot be found is left out.
 * @returns the exit code, always 0
 */
export async function printSuggestions(
  program: Command,
  words: readonly string[],
  known: { readonly settings: readonly string[]; readonly flags: () => Flags },
  io: Io,
): Promise<number> {
  const names = async (wanted: FileKind): Promise<string[]> => {
    try {
      const files = await listKnownCheckpoints(readCommandOptions(known.flags(), io).modelsDirs);
      return files.filter(({ kind }) => kind === wanted).map(({ name }) => name);
    } catch {
      return [];
    }
  };
  const [models, vaes] = [() => names('model'), () => names('VAE')];
  const devices = async (): Promise<string[]> => {
    try {
      return (await (io.addon ?? loadAddon)()).capabilities().devices.map(({ name }) => name);
    } catch {
      return [];
    }
  };
  const found = await complete(program, words, { models, vaes, settings: () => known.settings, devices });
  if (found.length > 0) await writeAll(io.stdout, `${found.map(line).join('\n')}\n`);
  return EXIT.ok;
}
