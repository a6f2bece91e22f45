// Loaded by NODE_OPTIONS=--import: a process for which every folder named "shared" lies on a disk without room.
import { createRequire, syncBuiltinESMExports } from 'node:module';

const promises = createRequire(import.meta.url)('node:fs/promises');
const open = promises.open;
promises.open = async (/** @type {[path: any, ...rest: any[]]} */ ...given) => {
  const handle = await open(...given);
  if (!String(given[0]).includes('/shared/results/')) return handle;
  handle.writeFile = async () => {
    throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  };
  return handle;
};
syncBuiltinESMExports();
