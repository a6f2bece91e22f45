#!/usr/bin/env node
/**
 * Renders artwork once into one file: `node scripts/pocket/sprites.mjs --data DIR [--size 96]`. The artwork comes from npm
 * packages that are installed into DIR, never into this repository. Writes DIR/sprites.bin (things × size × size × RGBA,
 * straight alpha) and DIR/sprites.json ({size, names, synonyms, source}).
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import sharp from 'sharp';

const PACKAGES = {
  'fluent-emoji-flat': '@iconify-json/fluent-emoji-flat@1.2.6',
  noto: '@iconify-json/noto@1.2.9',
};

const { values } = parseArgs({ options: { data: { type: 'string' }, size: { type: 'string', default: '96' } } });
if (values.data === undefined) throw new Error('--data DIR is needed: where artwork and sprites go');
const size = Number(values.size);
const { style, things } = JSON.parse(readFileSync(new URL('things.json', import.meta.url), 'utf8'));

/** @param {string} name of an icon set @returns {{icons: Record<string, {body: string}>, width?: number, height?: number}} */
function iconSet(name) {
  const file = join(String(values.data), 'node_modules', '@iconify-json', name, 'icons.json');
  if (!existsSync(file)) {
    mkdirSync(String(values.data), { recursive: true });
    const wanted = PACKAGES[/** @type {keyof typeof PACKAGES} */ (name)];
    execFileSync('npm', ['install', '--no-save', '--prefix', String(values.data), wanted], { stdio: 'inherit' });
  }
  return JSON.parse(readFileSync(file, 'utf8'));
}

const set = iconSet(style);
const names = Object.keys(things);
const missing = names.filter((name) => set.icons[things[name][0]] === undefined);
if (missing.length > 0) throw new Error(`${style} has no artwork for ${missing.join(', ')}`);
const sprites = [];
for (const name of names) {
  const side = set.width ?? 32;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${side} ${side}">${set.icons[things[name][0]]?.body}</svg>`;
  const density = (72 * size) / side;
  const image = sharp(Buffer.from(svg), { density }).resize(size, size, { fit: 'contain', background: '#0000' });
  sprites.push(await image.ensureAlpha().raw().toBuffer());
}
const facts = { size, names, synonyms: names.map((name) => [...new Set([name, ...things[name].slice(1)])]), source: PACKAGES[/** @type {keyof typeof PACKAGES} */ (style)] };
for (const [file, data] of Object.entries({ 'sprites.bin': Buffer.concat(sprites), 'sprites.json': JSON.stringify(facts) })) {
  const path = join(values.data, file);
  writeFileSync(`${path}.tmp`, data);
  renameSync(`${path}.tmp`, path);
}
console.log(`${names.length} sprites of ${size}x${size} in ${values.data}`);
