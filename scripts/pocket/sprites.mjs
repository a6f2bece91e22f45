#!/usr/bin/env node
/**
 * Renders artwork once into one file: `node scripts/pocket/sprites.mjs --data DIR [--set mini|gpu]`. The artwork comes from
 * npm packages that are installed into DIR, never into this repository. Writes DIR/sprites.bin (styles × things × side ×
 * side × RGBA, straight alpha) and DIR/sprites.json ({size, styles, names, synonyms, sources}).
 *
 * mini: the things of things.json in one style. gpu: every concrete thing that all three styles draw, with the names that
 * emojibase gives it.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import sharp from 'sharp';

/** What each style is drawn by, at the versions that NOTICE attributes. */
const STYLES = {
  flat: '@iconify-json/fluent-emoji-flat@1.2.6',
  noto: '@iconify-json/noto@1.2.9',
  '3d': '@lobehub/fluent-emoji-3d@1.1.0',
};
const NAMES = 'emojibase-data@17.0.0';
const SETS = { mini: { styles: ['flat'], side: 96 }, gpu: { styles: ['flat', 'noto', '3d'], side: 72 } };
/** Animals, food, places, activities, objects. */
const GROUPS = new Set([3, 4, 5, 6, 7]);
const NOT_CONCRETE =
  /o’clock|-thirty|quarter|crescent|gibbous|globe showing|keycap|japanese|button|person|man |woman|people|flag|calendar|chart|input|symbol|statue of|map of|mountain railway|face with|sun behind|cloud with|paw prints|sweat|oncoming|love|religious|kaaba|mosque|synagogue|hindu|church|prayer|nazar|hamsa|beads|bank|moai|microbe|cigarette|headstone|speaker|drop of blood|empty nest|leaf fluttering|foggy|banknote|money with/i;
/** So many fit 25 MB of artwork; the plainest names first. */
const MOST_THINGS = 400;

/** @param {string} wanted package and version @param {string} data @returns {string} its folder, installed where it is not yet */
function installed(wanted, data) {
  const name = wanted.slice(0, wanted.lastIndexOf('@'));
  const folder = join(data, 'node_modules', name);
  if (!existsSync(folder)) {
    mkdirSync(data, { recursive: true });
    const all = [...Object.values(STYLES), NAMES];
    execFileSync('npm', ['install', '--no-save', '--prefix', data, ...all], { stdio: 'inherit' });
  }
  return folder;
}

/** @param {string} path @returns {any} */
const json = (path) => JSON.parse(readFileSync(path, 'utf8'));
/** Without the mark that only asks for a coloured picture. @param {string} code */
const plainCode = (code) => code.toLowerCase().replaceAll('-fe0f', '');

/**
 * A style's artwork: by the icon's name, or by its character's code.
 * @param {string} style @param {string} data
 * @returns {{byName: (name: string) => Buffer | undefined, byCode: (code: string) => Buffer | undefined}}
 */
function artwork(style, data) {
  const folder = installed(STYLES[/** @type {keyof typeof STYLES} */ (style)], data);
  if (style === '3d') {
    /** @param {string} code */
    const byCode = (code) => {
      const path = join(folder, 'assets', `${code.toLowerCase()}.webp`);
      return existsSync(path) ? readFileSync(path) : undefined;
    };
    return { byName: () => undefined, byCode };
  }
  const set = json(join(folder, 'icons.json'));
  const codes = new Map(
    Object.entries(json(join(folder, 'chars.json'))).map(([code, name]) => [plainCode(code), name]),
  );
  const side = set.width ?? 32;
  /** @param {string} name */
  const byName = (name) => {
    const body = set.icons[name]?.body ?? set.icons[set.aliases?.[name]?.parent]?.body;
    if (body === undefined) return undefined;
    return Buffer.from(
      `<svg xmlns="http://www.w3.org/2000/svg" width="${side}" height="${side}" viewBox="0 0 ${side} ${side}">${body}</svg>`,
    );
  };
  return { byName, byCode: (code) => byName(String(codes.get(plainCode(code)))) };
}

/** @param {Buffer} source SVG or WebP @param {number} side @returns {Promise<Buffer>} RGBA */
async function draw(source, side) {
  const isVector = source.subarray(0, 4).toString() === '<svg';
  // Drawn large, then made smaller: an SVG's own size is that of its view box.
  const image = isVector ? sharp(source, { density: 72 * 8 }) : sharp(source);
  return image.resize(side, side, { fit: 'contain', background: '#0000' }).ensureAlpha().raw().toBuffer();
}

/** @param {string} label of emojibase, e.g. "cat face" */
const shortName = (label) =>
  label
    .toLowerCase()
    .replace(/ face$/, '')
    .replace(/^red (apple|heart)$/, '$1')
    .replaceAll('’', "'");

/** Things that every style draws, and what people call them. @param {Record<string, ReturnType<typeof artwork>>} art @param {string} data */
function everyThing(art, data) {
  const folder = join(installed(NAMES, data), 'en');
  const codes = ['emojibase', 'github', 'iamcal'].map((kind) => json(join(folder, 'shortcodes', `${kind}.json`)));
  /** @type {Set<string>} */
  const taken = new Set();
  const things = [];
  for (const emoji of json(join(folder, 'compact.json'))) {
    const name = shortName(emoji.label);
    const isThing = GROUPS.has(emoji.group) && !NOT_CONCRETE.test(emoji.label) && /^[a-z' -]+$/.test(name);
    if (!isThing || taken.has(name) || Object.values(art).some((style) => style.byCode(emoji.hexcode) === undefined))
      continue;
    taken.add(name);
    things.push({ name, code: emoji.hexcode });
  }
  /** @param {string} name */
  const words = (name) => name.split(/[ -]/).length;
  const kept = things.sort((a, b) => words(a.name) - words(b.name)).slice(0, MOST_THINGS);
  return kept.map(({ name, code }) => {
    const synonyms = [name];
    for (const words of codes.flatMap((list) => list[code] ?? [])) {
      const text = words.replaceAll('_', ' ').replace(/ face$/, '');
      if (!/^[a-z]{3,}( [a-z]+){0,2}$/.test(text) || taken.has(text)) continue;
      taken.add(text);
      synonyms.push(text);
    }
    return { name, code, synonyms };
  });
}

/** @param {Record<string, ReturnType<typeof artwork>>} art */
function chosenThings(art) {
  const { things } = json(new URL('things.json', import.meta.url).pathname);
  return Object.entries(things).map(([name, [icon, ...more]]) => {
    if (art.flat?.byName(icon) === undefined) throw new Error(`there is no artwork "${icon}" for "${name}"`);
    return { name, icon, synonyms: [...new Set([name, ...more])] };
  });
}

const { values } = parseArgs({ options: { data: { type: 'string' }, set: { type: 'string', default: 'mini' } } });
const data = values.data;
if (data === undefined) throw new Error('--data DIR is needed: where artwork and sprites go');
const set = SETS[/** @type {keyof typeof SETS} */ (values.set)];
if (set === undefined) throw new Error(`--set: mini or gpu, not "${values.set}"`);
const art = Object.fromEntries(set.styles.map((style) => [style, artwork(style, data)]));
/** @type {{name: string, code?: string, icon?: string, synonyms: string[]}[]} */
const things = values.set === 'mini' ? chosenThings(art) : everyThing(art, data);
const drawn = [];
for (const style of set.styles) {
  for (const { code, icon } of things) {
    const source = icon === undefined ? art[style]?.byCode(String(code)) : art[style]?.byName(icon);
    if (source === undefined) throw new Error(`${style} lost ${icon ?? code}`);
    drawn.push(await draw(source, set.side));
  }
}
const facts = {
  size: set.side,
  styles: set.styles,
  names: things.map(({ name }) => name),
  synonyms: things.map(({ synonyms }) => synonyms),
  sources: set.styles.map((style) => STYLES[/** @type {keyof typeof STYLES} */ (style)]),
};
for (const [file, content] of Object.entries({
  'sprites.bin': Buffer.concat(drawn),
  'sprites.json': JSON.stringify(facts),
})) {
  const path = join(data, file);
  writeFileSync(`${path}.tmp`, content);
  renameSync(`${path}.tmp`, path);
}
console.log(`${things.length} things in ${set.styles.join(', ')}, ${set.side} pixels a side, in ${data}`);
