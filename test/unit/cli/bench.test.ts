import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CliSandbox } from '../../support/cli.js';
import { createFakeEngine, type FakeEngine } from '../../support/fake-native.js';

let box: CliSandbox;
let engine: FakeEngine;
beforeEach(async () => {
  box = await CliSandbox.create({ 'one.safetensors': 'weights' });
  engine = createFakeEngine();
});
afterEach(() => box.remove());
const run = (...argv: string[]) => box.run(['bench', ...argv], { addon: engine.addon });

describe('bench', () => {
  it('asks for a guided step at 512x512 of everything unless told', async () => {
    expect(await run()).toMatchObject({ code: 0, out: 'unet 1 s\n', err: '' });
    expect(engine.benches).toEqual([
      { arch: 'sd1', width: 512, height: 512, batch: 2, repeat: 5, opShapes: false, device: 'auto', threads: 0 },
    ]);
  });

  it('passes on what is asked for, and prints JSON', async () => {
    const argv = ['--part', 'unet, text', '--precision', 'bf16', '--width', '256', '--threads', '3', '--op-shapes'];
    expect(await run(...argv, '-m', 'one', '--json')).toMatchObject({ code: 0, out: '{"parts": []}\n' });
    expect(engine.benches[0]).toMatchObject({
      parts: ['unet', 'text'],
      precisions: ['bf16'],
      width: 256,
      threads: 3,
      opShapes: true,
      model: box.path('models', 'one.safetensors'),
    });
  });

  it('takes the precision auto, which a settings file may hold, for all', async () => {
    await box.run(['bench'], { addon: engine.addon, env: { SDGEN_PRECISION: 'auto' } });
    expect(engine.benches[0]).not.toHaveProperty('precisions');
  });

  it.each([
    ['--width', '500', '--width must be a multiple of 8'],
    ['--batch', '0', '--batch must be a whole number from 1'],
    ['--repeat', 'many', '--repeat must be a whole number'],
  ])('refuses %s %s', async (flag, value, message) => {
    const { code, err } = await run(flag, value);
    expect(code).toBe(2);
    expect(err).toContain(message);
    expect(engine.benches).toEqual([]);
  });

  it.each(['E_INVALID_ARGUMENT', 'E_DEVICE'] as const)('takes %s of the engine for wrong usage', async (name) => {
    const refusal = Object.assign(new Error("part 'lungs' is unknown"), { code: name });
    const bench = () => ({ promise: Promise.reject(refusal), cancel: () => undefined });
    const { code, err } = await box.run(['bench'], { addon: { ...engine.addon, bench } });
    expect(code).toBe(2);
    expect(err).toContain("part 'lungs' is unknown");
  });
});
