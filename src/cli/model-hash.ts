import type { PictureParameters } from '../runtime/picture-parameters.js';
import type { RunEvent } from '../runtime/processing-runner.js';
import { warn } from './failure.js';
import type { Io } from './io.js';
import { printable } from './run-info.js';

/** As webuis since 1.0 write it: the first digits of the file's SHA-256. Older ones hashed a part of the file. */
const HASH = /^[0-9a-f]{10,64}$/;

/** Says on stderr when a run's model is not the one that a picture names; a name alone says little. */
export function compareModels(picture: PictureParameters | undefined, io: Io): (event: RunEvent) => void {
  const theirs = picture?.parameters.get('Model hash')?.toLowerCase();
  return (event) => {
    if (event.type !== 'prepared' || theirs === undefined || !HASH.test(theirs)) return;
    const { name, sha256 } = event.prepared.plan.model;
    if (sha256.startsWith(theirs)) return;
    const called = picture?.parameters.get('Model');
    const made = `the picture was made with ${called === undefined ? 'a model' : `"${called}"`} of hash ${theirs}`;
    warn(io, printable(`${made}, not with ${name} (${sha256.slice(0, theirs.length)}): the result will differ`));
  };
}
