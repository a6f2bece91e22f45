import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { toolchainProblem } from '../../../scripts/check-toolchain.mjs';

const GOOD = {
  'c++': 'c++ (Debian 12.2.0-14+deb12u1) 12.2.0\nCopyright',
  cmake: 'cmake version 3.25.1\n',
  make: 'GNU Make 4.3\n',
};
const check = (programs: Record<string, string>, environment = {}) =>
  toolchainProblem({ probe: (program) => programs[program], environment });

describe('toolchainProblem', () => {
  it('accepts what builds', () => {
    expect(check(GOOD)).toBeUndefined();
    expect(check({ ...GOOD, 'c++': 'Debian clang version 14.0.6\nTarget: x86_64-pc-linux-gnu' })).toBeUndefined();
    expect(check({ cmake: GOOD.cmake, ninja: '1.11.1', 'g++': 'g++ (GCC) 13.2.1 20231011' })).toBeUndefined();
    expect(check({ ...GOOD, 'c++': 'c++ (Debian 8.3.0-6) 8.3.0', 'g++-12': GOOD['c++'] }, { CXX: 'g++-12' })).toBe(
      undefined,
    );
  });

  it.each([
    ['no compiler', { cmake: GOOD.cmake, make: GOOD.make }, {}, /C\+\+20 compiler.*none/],
    ['an old g++', { ...GOOD, 'c++': 'c++ (Ubuntu 9.4.0-1ubuntu1) 9.4.0' }, {}, /g\+\+ 11 or newer.*9\.4/],
    ['an old clang', { ...GOOD, 'c++': 'Ubuntu clang version 10.0.0-4' }, {}, /clang 14 or newer.*10\.0/],
    ['a wrong CXX', GOOD, { CXX: 'icpc' }, /icpc \(from CXX\)/],
    ['a compiler of no version', { ...GOOD, 'c++': 'hello' }, {}, /c\+\+ --version cannot be understood/],
    ['no cmake', { 'c++': GOOD['c++'], make: GOOD.make }, {}, /cmake 3\.20 or newer.*none/],
    ['an old cmake', { ...GOOD, cmake: 'cmake version 3.16.3' }, {}, /cmake 3\.20.*3\.16/],
    ['no make', { 'c++': GOOD['c++'], cmake: GOOD.cmake }, {}, /make or ninja/],
  ])('%s is one sentence with the remedy', (_case, programs, environment, message) => {
    const problem = check(programs, environment) ?? '';
    expect(problem).toMatch(message);
    expect(problem).toContain('sudo apt-get install g++ cmake make');
    expect(problem.split('\n')).toHaveLength(1);
  });

  it('stops the native build on a machine without tools', () => {
    const script = fileURLToPath(new URL('../../../scripts/build.mjs', import.meta.url));
    const environment = { PATH: '/nonexistent' };
    const ended = spawnSync(process.execPath, [script, 'native'], { env: environment, encoding: 'utf8' });
    expect(ended.status).toBe(1);
    expect(ended.stdout).toBe('');
    expect(ended.stderr.trim().split('\n')).toEqual([check({}, {})]);
  });
});
