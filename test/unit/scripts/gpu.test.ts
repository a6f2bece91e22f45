import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const SCRIPT = new URL('../../../scripts/gpu.py', import.meta.url).pathname;
const python = spawnSync('python3', ['--version']).status === 0;

const BENCH_ROW = '{"part": "unet", "precision": "fp16", "seconds": 0.0125, "gflops": 64000, "digest": "0123"}';

const SHAPE_ROW =
  '{"part": "op", "precision": "fp16", "op": "linear 2x320 -> 1280", "calls": 3, "seconds": 0.0005, "gflops": 1000}';

let folder = '';
const at = (name: string) => join(folder, name);

function program(name: string, body: string) {
  writeFileSync(at(name), `#!/bin/sh\n${body}\n`);
  chmodSync(at(name), 0o755);
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sdgen-gpu-'));
  mkdirSync(at('bin'));
  program('bin/nvidia-smi', 'echo "NVIDIA Test, 9.0, 81559 MiB, 580.1, 1980 MHz"');
  program('bin/compute-sanitizer', 'echo "$@" >> "$STUBS/sanitized"; shift 4; exec "$@"');
  program(
    'bin/cmake',
    'echo "$@" >> "$STUBS/built"; [ "$1" = --build ] || exit 0\nmkdir -p "$2"; cp "$STUBS/tests" "$2/sdgen-native-tests"; cp "$STUBS/bench" "$2/sdgen-bench"',
  );
  program('tests', 'echo "ok   $1_a"');
  program('bench', `echo unet: weights >&2; echo '{"parts": [${BENCH_ROW}], "op_shapes": [${SHAPE_ROW}]}'`);
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Whether the process does anything still; one that has ended may wait for somebody to ask how. */
function runs(pid: string) {
  const stat = `/proc/${pid}/stat`;
  return existsSync(stat) && !/\) [ZX] /.test(readFileSync(stat, 'utf8'));
}

/** Runs the script in a machine of stubs; its exit code and report. */
function runScript(...flags: string[]) {
  const env = { ...process.env, STUBS: folder, PATH: `${at('bin')}:${process.env.PATH}` };
  const argv = [SCRIPT, '--out', at('out'), '--build', at('build'), '--skip-torch', ...flags];
  const { status } = spawnSync('python3', argv, { env, encoding: 'utf8' });
  const read = (name: string) => readFileSync(join(at('out'), name), 'utf8');
  return { status, report: JSON.parse(read('gpu.json')), text: read('gpu.txt'), log: read('gpu.log') };
}

describe.skipIf(!python)('gpu.py', () => {
  it('builds for the card that is there, and has every stage in its report', { timeout: 60_000 }, () => {
    const { status, report, text, log } = runScript();
    expect(readFileSync(at('built'), 'utf8')).toContain('-DSDGEN_CUDA_ARCHITECTURES=90a');
    expect(report.card).toMatchObject({ name: 'NVIDIA Test', compute_cap: '9.0' });
    expect(report.stages['tests-cuda_exact']).toMatchObject({ state: 'ok', passed: 1, failed: 0 });
    expect(readFileSync(at('sanitized'), 'utf8')).toMatch(/--tool racecheck --error-exitcode 9 \S+ cuda_fast_products/);
    expect(report.bench['unet-fp16'].parts[0].seconds).toBe(0.0125);
    expect(text).toMatch(/sdgen fp16 unet +12\.500 +64\.0/);
    expect(text).toMatch(/sdgen fp16 op linear 2x320 -> 1280 +3 +0\.500 +1\.0/);
    expect(log).toContain('unet: weights');
    expect(status).toBe(0);
  });

  it('runs what failed again alone, and says in its status that a test failed', { timeout: 60_000 }, () => {
    program(
      'tests',
      '[ "$1" = cuda_exact ] && { echo "ok   cuda_exact_a"; echo "FAIL cuda_exact_b"; exit 1; }\necho "ok   $1"',
    );
    const { status, report } = runScript();
    expect(report.stages['tests-cuda_exact']).toMatchObject({ state: 'failed (exit 1)', failures: ['cuda_exact_b'] });
    expect(report.stages['alone-cuda_exact_b']).toMatchObject({ state: 'ok', passed: 1 });
    expect(status).toBe(1);
  });

  it('ends what hangs, with all that it has started, and keeps what came before', { timeout: 60_000 }, () => {
    program('tests', '[ "$1" = cuda_exact ] || { sleep 300 & echo $! > "$STUBS/child"; wait; }\necho "ok   $1"');
    const { status, report, text } = runScript('--budget', '13');
    expect(report.stages['tests-cuda_exact'].state).toBe('ok');
    expect(report.stages['tests-cuda_fast'].state).toMatch(/^not done in \d s$/);
    expect(report.stages['unet-fp16'].state).toBe('left out: the budget is spent');
    expect(text).toContain('NVIDIA Test');
    expect(runs(readFileSync(at('child'), 'utf8').trim())).toBe(false);
    expect(status).toBe(1);
  });

  it('stops where the build fails, with its words', { timeout: 60_000 }, () => {
    program('bin/cmake', '[ "$1" = --build ] || exit 0\necho "no such header" >&2; exit 2');
    const { status, report } = runScript();
    expect(report.stages.build).toMatchObject({ state: 'failed (exit 2)', end: 'no such header' });
    expect(Object.keys(report.stages)).toEqual(['card', 'configure', 'build']);
    expect(status).toBe(1);
  });
});
