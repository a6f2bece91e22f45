import { farFromTrained, unknownWords } from '../checkpoints/familiar.js';
import type { RunEvent } from '../runtime/processing-runner.js';
import { warn } from './failure.js';
import type { Io } from './io.js';
import { printable } from './run-info.js';

/** Words named before the rest is only counted. */
const SHOWN = 5;

/** Says on stderr, in a line, when a request is far from what the model was trained on, as far as its metadata tells. */
export function tellUnfamiliar(io: Io): (event: RunEvent) => void {
  return (event) => {
    if (event.type !== 'prepared') return;
    const { context, plan } = event.prepared;
    const { name, description } = context.model;
    const unknown = unknownWords(description.metadata, plan.prompt.text);
    if (unknown.length > 0) {
      const shown = unknown.slice(0, SHOWN).map((word) => `"${word}"`);
      const rest = unknown.length > SHOWN ? ` and ${unknown.length - SHOWN} more` : '';
      const where = `\`sdgen models inspect ${name}\` shows the words that it knows`;
      warn(io, printable(`${name} has never seen ${shown.join(', ')}${rest}: ${where}`));
    }
    const trained = farFromTrained(description.metadata, plan);
    if (trained !== undefined) {
      const sizes = `${plan.width}x${plan.height}, and was trained at ${trained.width}x${trained.height}`;
      warn(io, printable(`${name} is asked for ${sizes}: expect things to repeat or fall apart`));
    }
  };
}
