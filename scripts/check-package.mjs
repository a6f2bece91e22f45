#!/usr/bin/env node
/**
 * Whether what `npm pack` makes of a folder is a sound package: publint on its manifest and files, and
 * @arethetypeswrong/core on its types as importers with ESM see them.
 * usage: node scripts/check-package.mjs [folder]
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Ways of importing that an ESM package for Node 20 does not offer: resolution of before 2020, and `require`. */
const IGNORED_RESOLUTIONS = ['node10', 'node16-cjs'];

/**
 * The tarball of a folder as it stands: nothing is built. Throws with npm's own words.
 * @param {string} folder
 */
export function packFolder(folder) {
  const destination = mkdtempSync(join(tmpdir(), 'sdgen-pack-'));
  try {
    const args = ['pack', '--ignore-scripts', '--silent', '--pack-destination', destination];
    const { status, stderr, error } = spawnSync('npm', args, { cwd: folder, encoding: 'utf8' });
    if (status !== 0) throw new Error(`npm pack in ${folder}: ${error?.message ?? stderr.trim()}`);
    const [file] = readdirSync(destination);
    if (file === undefined) throw new Error(`npm pack in ${folder} wrote nothing`);
    return { name: file, bytes: readFileSync(join(destination, file)) };
  } finally {
    rmSync(destination, { recursive: true, force: true });
  }
}

/** @param {Buffer} bytes a tarball @param {Record<string, unknown>} manifest @returns {Promise<string[]>} what is wrong */
async function packageProblems(bytes, manifest) {
  const tarball = /** @type {ArrayBuffer} */ (
    bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength)
  );
  const { messages } = await publint({ pack: { tarball }, strict: true });
  const found = messages.map((message) => formatMessage(message, manifest, { color: false }) ?? message.code);
  const types = await checkPackage(createPackageFromTarballData(new Uint8Array(bytes)));
  if (types.types === false) return [...found, 'the package has no types'];
  const counted = types.problems.filter(
    (problem) => !('resolutionKind' in problem && IGNORED_RESOLUTIONS.includes(problem.resolutionKind)),
  );
  return [...found, ...counted.map((problem) => `types: ${JSON.stringify(problem)}`)];
}

/** @param {string} folder @returns {Promise<number>} an exit code */
async function main(folder) {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const { name, bytes } = packFolder(folder);
  const problems = await packageProblems(bytes, manifest);
  for (const problem of problems) console.error(`${name}: ${problem}`);
  if (problems.length === 0) console.log(`${name}: ${bytes.length} bytes, nothing wrong`);
  return problems.length === 0 ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = await main(resolve(process.argv[2] ?? ROOT));
