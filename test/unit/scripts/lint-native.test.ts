import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { blankCode, lintSources, readSources } from '../../../scripts/lint-native.mjs';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const script = join(root, 'scripts/lint-native.mjs');

/** Rules found in one file, each as `line:rule`. */
function found(text: string, path = 'native/base/planted.cpp'): string[] {
  return lintSources([{ path, text }]).map((fault) => `${fault.line}:${fault.rule}`);
}

describe('libm', () => {
  it.each([
    'return std::exp(x);',
    'return std :: exp (x);',
    'return expf(x);',
    'return ::logf(x);',
    'y = x>exp(x);',
    'y = log2(x) + 1;',
    'sincos(x, &s, &c);',
    'std::transform(a, b, c, std::tanhf);',
    'using std::erf;',
    'y = std::pow(x, 2);',
    'y = cbrtl(x);',
    'y = std::hypot(a, b);',
    'y = 1 / rsqrtf(x);',
    'y = __builtin_cosf(x);',
    'y = __expf(x);',
    'v = _mm256_exp_ps(v);',
  ])('finds %s', (line) => {
    expect(found(`int a;\n${line}\n`)).toEqual(['2:libm']);
  });

  it.each([
    'y = math::exp_f32(x);',
    'y = math::log(x);',
    'y = sdgen::math::exp(x);',
    'y = object.log(x);',
    'y = object->exp(x);',
    'y = std::sqrt(x) + std::fma(a, b, c) + std::floor(x) + std::fabs(x);',
    'int expansion(int); int exp = 3; float my_exp(float);',
    'throw std::logic_error(name);',
    '// std::exp(x) differs',
    '/* expf(x)\n std::log(x) */ int a;',
    'const char* s = "std::exp(x)";',
    'const char* s = R"(\n// " std::exp(x)\n)";',
    "const char q = '\"'; const int n = 1'000'000;",
  ])('leaves alone %s', (line) => {
    expect(found(`${line}\n`)).toEqual([]);
  });

  it('is not misled by quotes and comment marks inside each other', () => {
    expect(found('const char* s = "/*"; y = std::exp(x); // */\n')).toEqual(['1:libm']);
    expect(found('const char q = \'"\'; y = std::exp(x); const char* s = "";\n')).toEqual(['1:libm']);
    expect(found('// a comment that goes on \\\nstd::exp(x)\ny = std::exp(x);\n')).toEqual(['3:libm']);
  });

  it('names the line of every fault in a file', () => {
    expect(found('float a = std::exp(x);\n/*\n\n*/ float b = std::log(x);\nfloat c = 0;\nfloat d = tanf(x);')).toEqual([
      '1:libm',
      '4:libm',
      '6:libm',
    ]);
  });
});

describe('other rules', () => {
  it.each([
    ['v = _mm256_rsqrt_ps(v);', 'approximation'],
    ['v = _mm_rcp_ss(v);', 'approximation'],
    ['v = _mm512_rcp14_ps(v);', 'approximation'],
    ['v = vrsqrteq_f32(v);', 'approximation'],
    ['s = std::reduce(a, b);', 'summation'],
    ['#include <random>', 'random'],
    ['#include <cassert>', 'ending'],
    ['assert(x > 0);', 'ending'],
    ['std::abort();', 'ending'],
    ['if (x) exit(1);', 'ending'],
    ['std::terminate();', 'ending'],
    ['#pragma GCC optimize("fast-math")', 'fast-math'],
    ['__attribute__((optimize("Ofast"))) void f();', 'fast-math'],
    ['#pragma STDC FP_CONTRACT ON', 'fast-math'],
  ])('finds %s', (line, rule) => {
    expect(found(`\n${line}\n`)).toEqual([`2:${rule}`]);
  });

  it('leaves static_assert, members named exit and signal handlers alone', () => {
    expect(found('static_assert(sizeof(int) == 4);\nqueue.exit(0);\nscope->abort();\nmy::exit(1);\n')).toEqual([]);
  });

  it('holds tools to the same: the addon carries them', () => {
    expect(found('exit(2);\n', 'native/tools/parts.cpp')).toEqual(['1:ending']);
    expect(found('std::exp(x);\n', 'native/tools/main.cpp')).toEqual(['1:libm']);
  });

  it('limits the length of a file', () => {
    expect(found('int a;\n'.repeat(400))).toEqual([]);
    expect(found('int a;\n'.repeat(401))).toEqual(['401:length']);
  });

  it('passes over tests and files that are not sources', () => {
    expect(found('std::exp(x);', 'test/native/math_test.cpp')).toEqual([]);
    expect(found('std::exp(x);', 'native/base/notes.md')).toEqual([]);
  });
});

describe('layers', () => {
  it.each([
    ['addon/module.cpp', 'engine/engine.h'],
    ['engine/engine.cpp', 'sampling/loop.h'],
    ['models/unet.cpp', 'graph/builder.h'],
    ['backends/reference/linear.cpp', 'backends/backend.h'],
    ['addon/tool_calls.cpp', 'tools/parts.h'],
    ['tools/parts.cpp', 'engine/engine.h'],
    ['weights/store.h', 'base/dtype.h'],
  ])('%s may include %s', (from, target) => {
    expect(found(`#include "${target}"\n`, `native/${from}`)).toEqual([]);
  });

  it.each([
    ['base/math.h', 'graph/program.h'],
    ['graph/builder.h', 'weights/store.h'],
    ['weights/store.h', 'backends/backend.h'],
    ['models/unet.cpp', 'backends/backend.h'],
    ['backends/backend.h', 'models/unet.h'],
    ['sampling/loop.cpp', 'engine/engine.h'],
    ['engine/engine.cpp', 'addon/worker.h'],
    ['tools/parts.cpp', 'addon/module.h'],
    ['base/error.cpp', 'tools/parts.h'],
    ['base/error.cpp', 'error.h'],
    ['base/error.cpp', '../base/error.h'],
    ['models/unet.cpp', 'other/unet.h'],
  ])('%s may not include %s', (from, target) => {
    expect(found(`#pragma once\n  #  include "${target}"\n`, `native/${from}`)).toEqual(['2:layers']);
  });

  it('refuses a folder that is no layer, and ignores an include in a comment', () => {
    expect(found('int a;\n', 'native/util/strings.h')).toEqual(['1:layers']);
    expect(found('// #include "graph/program.h"\n')).toEqual([]);
  });
});

describe('CMake', () => {
  const contract = 'target_compile_options(x PUBLIC -ffp-contract=off)\n';
  it.each(['-ffast-math', '-Ofast', '-funsafe-math-optimizations', '-ffp-contract=fast', '--use_fast_math', '-mrecip'])(
    'finds %s',
    (flag) => {
      expect(found(`${contract}add_compile_options("${flag}")\n`, 'CMakeLists.txt')).toEqual(['2:fast-math']);
    },
  );

  it('accepts the flags that forbid it, and comments', () => {
    expect(found(`${contract}# never -ffast-math\nadd_compile_options(-fno-fast-math)\n`, 'CMakeLists.txt')).toEqual(
      [],
    );
  });

  it('wants contraction switched off, in code rather than in a comment', () => {
    expect(found('# -ffp-contract=off\nproject(x)\n', 'CMakeLists.txt')).toEqual(['1:fast-math']);
    expect(found('set(A 1)\n', 'cmake/part.cmake')).toEqual([]);
  });
});

describe('the command', () => {
  let folder: string | undefined;
  afterEach(() => {
    if (folder !== undefined) rmSync(folder, { recursive: true });
    folder = undefined;
  });

  function run(files: Record<string, string>) {
    folder = mkdtempSync(join(tmpdir(), 'sdgen-lint-'));
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    return spawnSync(process.execPath, [script, folder], { encoding: 'utf8' });
  }

  it('exits 1 and names file and line', () => {
    const result = run({
      'CMakeLists.txt': '-ffp-contract=off\n',
      'native/base/a.cpp': 'int a;\nfloat b = std::exp(1);\n',
    });
    expect(result.status).toBe(1);
    expect(result.stderr).toContain('native/base/a.cpp:2: libm: std::exp');
  });

  it('exits 0 on clean sources and 1 when there is nothing to check', () => {
    expect(run({ 'CMakeLists.txt': '-ffp-contract=off\n', 'native/base/a.cpp': 'int a;\n' }).status).toBe(0);
    rmSync(folder ?? '', { recursive: true });
    expect(run({ 'CMakeLists.txt': '-ffp-contract=off\n', 'native/base/notes.md': '' }).status).toBe(1);
  });
});

describe('this repository', () => {
  const files = readSources(root);
  it('is clean, and its sources are all seen', () => {
    expect(files.map((file) => file.path)).toEqual(expect.arrayContaining(['native/base/math.h', 'CMakeLists.txt']));
    expect(lintSources(files)).toEqual([]);
  });

  it('keeps every line in place when blanking', () => {
    for (const file of files) {
      for (const strings of [false, true]) {
        const blanked = blankCode(file.text, strings);
        expect(blanked.split('\n').length, file.path).toBe(file.text.split('\n').length);
      }
    }
  });
});

describe('docs/numerics.md', () => {
  it('holds every constant of base/math.h', () => {
    const page = readFileSync(join(root, 'docs/numerics.md'), 'utf8');
    const code = blankCode(readFileSync(join(root, 'native/base/math.h'), 'utf8'), true);
    // 0x1.62e430p-1f as in C; the page writes the same digits without the suffix.
    const constants = [...code.matchAll(/0x1(?:\.[\da-f]+)?p[+-]?\d+|0x[\da-f]{8,}(?=u)/g)].map((match) => match[0]);
    expect(new Set(constants).size).toBeGreaterThan(80);
    // A mask, a sign bit and bounds need no entry of their own: the page says |x|, sign, NaN, infinity in words.
    const inWords = /^0x(?:[78]0000000|7fffffff|7ff8000000000000|fff0000000000000|1\.f{13}p\+1023)$/;
    const missing = constants.filter((constant) => !page.includes(constant) && !inWords.test(constant));
    expect(missing).toEqual([]);
  });
});
