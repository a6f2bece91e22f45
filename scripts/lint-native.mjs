#!/usr/bin/env node
// Refuses in native/ (and in CMake's flags) what would break the numerics contract, the layers or the addon's promise
// never to end the process. The reasons stand in docs/numerics.md and docs/architecture.md.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** @typedef {{ path: string, text: string }} SourceFile path from the repository's root, with forward slashes */
/** @typedef {{ path: string, line: number, rule: string, message: string }} Fault */
/** @typedef {{ rule: string, pattern: RegExp, message: (match: RegExpExecArray) => string }} Pattern */

const MAX_LINES = 400;
// Includes may point only to a folder further right, or stay in their own.
const LAYERS = [
  'addon',
  'boundary',
  'tools',
  'bench',
  'engine',
  'sampling',
  'models',
  'backends',
  'weights',
  'graph',
  'base',
];

const LIBM_STEMS = [
  'exp|exp2|exp10|expm1|log|log2|log10|log1p|pow|powr|pow10|sin|cos|tan|sincos|sinpi|cospi|sincospi',
  'asin|acos|atan|atan2|sinh|cosh|tanh|asinh|acosh|atanh|erf|erfc|erfinv|erfcinv|lgamma|tgamma|cbrt|rcbrt|hypot|rsqrt',
].join('|');
const LIBM = `(?:${LIBM_STEMS})(?:f16|f32|f64|f|l)?`;
// Unqualified or of the global namespace or std: another namespace's function of that name is its own.
const CALL_START = String.raw`(?<![\w.:]|->\s*|\.\s*|::\s*)(?:::\s*|std\s*::\s*)?`;

/** @type {Pattern[]} Searched for in code without comments and strings. */
const CODE_PATTERNS = [
  {
    rule: 'libm',
    pattern: new RegExp(
      String.raw`(?:${CALL_START}(${LIBM})\s*\()|\bstd\s*::\s*(${LIBM})\b|\b__builtin_(${LIBM})\b|\b__(?:exp|exp10|log|log2|log10|pow|sin|cos|tan|sincos)f\b`,
      'g',
    ),
    message: (match) => `${match[0].replace(/\s*\($/, '').trim()} differs between systems: use base/math.h`,
  },
  {
    rule: 'approximation',
    pattern:
      /\b(?:_mm\d*_(?:mask_|maskz_)?(?:rsqrt|rcp)\w*|vr(?:sqrt|ecp)[es]\w*|__frsqrt_rn|__fdividef|__builtin_ia32_(?:rsqrt|rcp)\w*)\b/g,
    message: (match) => `${match[0]} is an approximation: divide and take std::sqrt`,
  },
  {
    rule: 'libm',
    pattern: /\b_mm\d*_(?:mask_|maskz_)?(?:exp|log|pow|sin|cos|tan|erf|cbrt|hypot|invsqrt)\w*_p[sd]\b/g,
    message: (match) => `${match[0]} is a compiler library's function: use base/math.h`,
  },
  {
    rule: 'summation',
    pattern: /\bstd\s*::\s*(?:reduce|transform_reduce)\b/g,
    message: (match) => `${match[0]} leaves the order of a sum open: write the loop`,
  },
];

/** @type {Pattern[]} As above. */
const ENDING_PATTERNS = [
  {
    rule: 'ending',
    pattern: new RegExp(
      String.raw`(?:${CALL_START}(?:assert|abort|exit|_exit|_Exit|quick_exit|terminate|__builtin_trap|__builtin_abort)\s*\()|\bstd\s*::\s*(?:abort|exit|_Exit|quick_exit|terminate)\b`,
      'g',
    ),
    message: (match) => `${match[0].replace(/\s*\($/, '').trim()} would end the caller's process: throw sdgen::Error`,
  },
];

/** @type {Pattern[]} Searched for with strings (pragmas and attributes carry flags in them), without comments. */
const FLAG_PATTERNS = [
  {
    rule: 'fast-math',
    pattern:
      /(?<!no-)(?<!\w)(?:f?(?:fast|unsafe|associative|reciprocal)-math(?:-optimizations)?|f?finite-math-only|Ofast|use_fast_math)\b|-fno-signed-zeros\b|-mrecip\b|-ftz=true|-prec-(?:div|sqrt)=false|-fmad=true|-ffp-contract=(?:fast|on)\b|\bFP_CONTRACT\s+ON\b/g,
    message: (match) => `${match[0]} lets the compiler change results`,
  },
];

/**
 * Blanks comments, and with `strings` also the insides of string and character literals, keeping every line where it was.
 * @param {string} text
 * @param {boolean} strings
 * @returns {string}
 */
export function blankCode(text, strings) {
  const token =
    /\/\/(?:\\\r?\n|[^\n])*|\/\*[\s\S]*?(?:\*\/|$)|\b(?:u8|[uUL])?R"([^()\\\s]{0,16})\([\s\S]*?\)\1"|"(?:\\[\s\S]|[^"\\\n])*"|(?<![\da-fA-F])'(?:\\[\s\S]|[^'\\\n])*'/g;
  const blank = (/** @type {string} */ part) => part.replace(/[^\n]/g, ' ');
  return text.replace(token, (part) => {
    if (part.startsWith('/')) return blank(part);
    return strings ? `"${blank(part.slice(1, -1))}"` : part;
  });
}

/**
 * @param {string} text
 * @returns {string}
 */
function blankCmakeComments(text) {
  return text.replace(/"(?:\\[\s\S]|[^"\\])*"|#[^\n]*/g, (part) =>
    part.startsWith('#') ? ' '.repeat(part.length) : part,
  );
}

/**
 * @param {string} path
 * @param {string} text
 * @param {Pattern[]} patterns
 * @returns {Fault[]}
 */
function search(path, text, patterns) {
  /** @type {Fault[]} */
  const faults = [];
  for (const { rule, pattern, message } of patterns) {
    for (const match of text.matchAll(pattern)) {
      const name = match[0].search(/\S/);
      const line = text.slice(0, match.index + name).split('\n').length;
      faults.push({ path, line, rule, message: message(match) });
    }
  }
  return faults;
}

/**
 * @param {string} layer folder of the including file, e.g. "models"
 * @param {string} target what stands between the quotes
 * @returns {string | undefined} what is wrong with the include
 */
function includeFault(layer, target) {
  const [folder = ''] = target.split('/');
  if (!LAYERS.includes(folder)) {
    return `"${target}" is not written from native/ (as in "base/error.h")`;
  }
  if (folder === layer) return undefined;
  if (layer === 'models' && folder === 'backends') return `models never include a backend ("${target}")`;
  const allowed = LAYERS.slice(LAYERS.indexOf(layer) + 1);
  return allowed.includes(folder)
    ? undefined
    : `${layer}/ may not include "${target}": includes point ${LAYERS.join(' -> ')}`;
}

/**
 * @param {string} path
 * @param {string} layer
 * @param {string} text with strings, without comments
 * @returns {Fault[]}
 */
function lintIncludes(path, layer, text) {
  /** @type {Fault[]} */
  const faults = [];
  text.split('\n').forEach((content, index) => {
    const quoted = /^\s*#\s*include\s*"([^"]*)"/.exec(content)?.[1];
    const system = /^\s*#\s*include\s*<([^>]*)>/.exec(content)?.[1];
    const message = quoted === undefined ? undefined : includeFault(layer, quoted);
    if (message !== undefined) faults.push({ path, line: index + 1, rule: 'layers', message });
    if (system === 'random') {
      const why = '<random> distributions differ between standard libraries: use base/noise.h';
      faults.push({ path, line: index + 1, rule: 'random', message: why });
    }
    if (system === 'cassert' || system === 'assert.h') {
      faults.push({
        path,
        line: index + 1,
        rule: 'ending',
        message: `<${system}> ends the process: throw sdgen::Error`,
      });
    }
  });
  return faults;
}

/**
 * @param {SourceFile} file
 * @returns {Fault[]}
 */
function lintNativeFile({ path, text }) {
  const [, layer = ''] = path.split('/');
  if (!LAYERS.includes(layer)) {
    return [{ path, line: 1, rule: 'layers', message: `native/${layer} is not a layer: ${LAYERS.join(' -> ')}` }];
  }
  const uncommented = blankCode(text, false);
  const code = blankCode(text, true);
  const faults = [
    ...search(path, code, CODE_PATTERNS),
    ...search(path, code, ENDING_PATTERNS),
    ...search(path, uncommented, FLAG_PATTERNS),
    ...lintIncludes(path, layer, uncommented),
  ];
  const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
  if (lines > MAX_LINES) {
    faults.push({
      path,
      line: MAX_LINES + 1,
      rule: 'length',
      message: `${lines} lines, at most ${MAX_LINES}: split it`,
    });
  }
  return faults;
}

/**
 * Checks C++ sources under native/ and CMake files; all others (test/native among them) are passed over.
 * @param {SourceFile[]} files
 * @returns {Fault[]} sorted by path and line
 */
export function lintSources(files) {
  /** @type {Fault[]} */
  const faults = [];
  for (const file of files) {
    if (isCmake(file.path)) {
      const text = blankCmakeComments(file.text);
      faults.push(...search(file.path, text, FLAG_PATTERNS));
      if (file.path === 'CMakeLists.txt' && !/-ffp-contract=off\b/.test(text)) {
        const message = '-ffp-contract=off is missing: the compiler would fuse a·b + c as it likes';
        faults.push({ path: file.path, line: 1, rule: 'fast-math', message });
      }
    } else if (file.path.startsWith('native/') && isSource(file.path)) {
      faults.push(...lintNativeFile(file));
    }
  }
  return faults.sort((a, b) => (a.path === b.path ? a.line - b.line : a.path < b.path ? -1 : 1));
}

/** @param {string} path */
function isCmake(path) {
  return path === 'CMakeLists.txt' || path.endsWith('/CMakeLists.txt') || path.endsWith('.cmake');
}

/** @param {string} path */
function isSource(path) {
  return /\.(?:c|cc|cpp|cxx|h|hpp|hh|inl|cu|cuh)$/.test(path);
}

/**
 * @param {string} root of the repository
 * @returns {SourceFile[]}
 */
export function readSources(root) {
  /** @type {SourceFile[]} */
  const files = [];
  const visit = (/** @type {string} */ full) => {
    const path = relative(root, full).split(sep).join('/');
    if (statSync(full).isDirectory()) {
      for (const name of readdirSync(full).sort()) visit(join(full, name));
    } else if (isSource(path) || isCmake(path)) {
      files.push({ path, text: readFileSync(full, 'utf8') });
    }
  };
  visit(join(root, 'native'));
  visit(join(root, 'CMakeLists.txt'));
  return files;
}

/**
 * @param {string} root
 * @returns {number} exit code
 */
function main(root) {
  const files = readSources(root);
  const checked = files.filter((file) => isSource(file.path)).length;
  const faults = lintSources(files);
  for (const { path, line, rule, message } of faults) console.error(`${path}:${line}: ${rule}: ${message}`);
  if (checked === 0) console.error(`no source under ${join(root, 'native')}: nothing was checked`);
  console.log(`native lint: ${checked} files, ${faults.length} faults`);
  return faults.length === 0 && checked > 0 ? 0 : 1;
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  process.exitCode = main(resolve(process.argv[2] ?? fileURLToPath(new URL('..', import.meta.url))));
}
