import { defineConfig } from 'vitest/config';
import { COVERAGE_LINES } from './scripts/coverage-gate.mjs';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Native runs on a busy two-core machine are the slow ones.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      // Runs in a browser alone: test/e2e/web-page.test.ts drives it there.
      exclude: ['src/web/**'],
      reporter: ['text-summary', 'json-summary', 'lcovonly'],
      reportsDirectory: 'coverage',
      thresholds: { lines: COVERAGE_LINES },
    },
  },
});
