import type { PictureParameters } from '../runtime/picture-parameters.js';
import type { RunEvent } from '../runtime/processing-runner.js';
import { warn } from './failure.js';
import type { Io } from './io.js';
import { printable } from './run-info.js';

/** As webuis since 1.0 write it: the first digits of the file's SHA-256. Older ones hashed a part of the file. */
const HASH = /^[0-9a-f]{10,64}$/;

/** Says on stderr when a run's model or VAE is not the one that a picture names; a name alone says little. */
export function compareModels(picture: PictureParameters | undefined, io: Io): (event: RunEvent) => void {
  const parameters = picture?.parameters;
  const compare = (what: 'model' | 'VAE', key: string, ours: { name: string; sha256: string } | null): void => {
    const theirs = parameters?.get(`${key} hash`)?.toLowerCase();
    if (theirs === undefined || !HASH.test(theirs) || ours?.sha256.startsWith(theirs)) return;
    const called = parameters?.get(key);
    const made = `the picture was made with ${called === undefined ? `a ${what}` : `"${called}"`} of hash ${theirs}`;
    const here = ours === null ? "the model's own" : `${ours.name} (${ours.sha256.slice(0, theirs.length)})`;
    warn(io, printable(`${made}, not with ${here}: the result will differ`));
  };
  return (event) => {
    if (event.type !== 'prepared') return;
    const { model } = event.prepared.plan;
    compare('model', 'Model', model);
    compare('VAE', 'VAE', model.vae);
  };
}
