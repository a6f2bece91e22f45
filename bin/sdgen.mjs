#!/usr/bin/env node
// Starts the compiled command line and turns its result into an exit code.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const main = new URL('../dist/cli/main.js', import.meta.url);
if (existsSync(fileURLToPath(main))) {
  // The reader of a pipe may go away (`sdgen models list | head -1`): no defect, and nobody is left to tell.
  process.stdout.on('error', (error) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  const { main: run } = await import(main.href);
  process.exitCode = await run(process.argv.slice(2));
} else {
  process.stderr.write('error: sdgen is not built yet; run `npm run build` in its folder\n');
  process.exitCode = 1;
}
