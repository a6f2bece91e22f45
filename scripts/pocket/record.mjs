#!/usr/bin/env node
/**
 * Makes the pictures of models/pocket/pictures.yaml and writes beside it what they are: pictures.json (prompt, seed and
 * SHA-256 of the pixels of each, which a test compares) and pictures.png (the sheet that the README shows).
 * `node scripts/pocket/record.mjs`, after every change of the weights.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MODEL = join(ROOT, 'models', 'pocket');
const folder = mkdtempSync(join(tmpdir(), 'sdgen-pocket-'));
try {
  const argv = [join(ROOT, 'bin/sdgen.mjs'), 'batch', join(MODEL, 'pictures.yaml'), '--model', MODEL];
  const out = execFileSync(process.execPath, [...argv, '--output', folder, '--json', '-q'], { encoding: 'utf8' });
  const lines = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const pictures = lines.flatMap(({ request, files = [] }) =>
    files.map((/** @type {{ pixelSha256: string }} */ { pixelSha256 }) => ({
      prompt: request.prompt,
      seed: request.seed,
      pixelSha256,
    })),
  );
  writeFileSync(join(MODEL, 'pictures.json'), `${JSON.stringify(pictures, null, 2)}\n`);
  copyFileSync(lines.flatMap(({ sheet }) => sheet ?? [])[0], join(MODEL, 'pictures.png'));
  console.log(`${pictures.length} pictures in ${MODEL}`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
