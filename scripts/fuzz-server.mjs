#!/usr/bin/env node
/**
 * Requests made from the server's own OpenAPI document, against a server of its own (plain colours instead of pictures,
 * after the same checks): none may be answered with 5xx, and at least half must be accepted.
 * `node scripts/fuzz-server.mjs [--requests 10000] [--seed 1]`
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { fuzzServer } from './fuzz-server/requests.mjs';

const { values } = parseArgs({
  options: { requests: { type: 'string', default: '10000' }, seed: { type: 'string', default: '1' } },
});
const folder = await mkdtemp(join(tmpdir(), 'sdgen-fuzz-server-'));
const bin = fileURLToPath(new URL('../bin/sdgen.mjs', import.meta.url));
const flags = [
  'serve',
  '--fake-inference',
  '--port',
  '0',
  '--json',
  '-q',
  '--max-images',
  '16',
  '--max-pixels',
  '262144',
];
const server = spawn(process.execPath, [bin, ...flags], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
try {
  const [line] = await once(createInterface(server.stdout), 'line');
  const begin = performance.now();
  const counts = await fuzzServer(JSON.parse(line).url, {
    requests: Number(values.requests),
    seed: Number(values.seed),
  });
  console.log(JSON.stringify({ ...counts, seconds: Math.round((performance.now() - begin) / 1000) }));
  if (counts.accepted * 2 < counts.sent) {
    console.error('fewer than half were accepted: the requests say too little about the server');
    process.exitCode = 1;
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  server.kill('SIGTERM');
  await once(server, 'exit');
  await rm(folder, { recursive: true, force: true });
}
