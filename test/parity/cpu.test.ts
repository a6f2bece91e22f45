import { afterEach, describe, expect, it, vi } from 'vitest';
import { evaluate, fixturePath } from '../support/eval.js';
import { readSafetensors, type Tensor } from '../support/safetensors.js';
import { tinyModelPath } from '../support/tiny-model.js';

const PARTS = ['text', 'unet', 'vae-decode', 'vae-encode'] as const;
const LEVELS = ['portable', 'avx2', 'avx512', 'avx512bf16', 'amx'] as const;
const BF16_LEVELS = ['avx512bf16', 'amx'] as const;

/** PyTorch's own bf16 has 1.7e-2 in a full-size UNet; half as much again leaves room for another order of sums. */
const BF16_ERROR = 2.5e-2;

/** Root mean square of the difference over that of what is expected. */
function relativeRms(actual: Tensor, expected: Tensor): number {
  let difference = 0;
  let size = 0;
  for (const [i, value] of expected.data.entries()) {
    difference += ((actual.data[i] ?? Number.NaN) - value) ** 2;
    size += value ** 2;
  }
  return Math.sqrt(difference / size);
}

/** What the environment's level gives; undefined where this processor lacks the level or the precision. */
function evaluateHere(part: string, inputs: string, args: readonly string[]): ReadonlyMap<string, Tensor> | undefined {
  try {
    return evaluate(part, inputs, args).tensors;
  } catch (error) {
    if (error instanceof Error && /does not have it|needs a processor/.test(error.message)) return undefined;
    throw error;
  }
}

afterEach(() => {
  vi.unstubAllEnvs();
});

describe.each(['micro1', 'micro2'] as const)('%s on the cpu device', (arch) => {
  const inputs = fixturePath(`${arch}_model.safetensors`);

  it.each(PARTS)('gives the bytes of reference at every instruction set: %s', async (part) => {
    const model = await tinyModelPath(arch);
    const { tensors } = evaluate(part, inputs, ['--model', model, '--device', 'reference']);
    expect(tensors.size).toBeGreaterThan(0);
    for (const level of LEVELS) {
      vi.stubEnv('SDGEN_ISA', level);
      const here = evaluateHere(part, inputs, ['--model', model, '--device', 'cpu', '--threads', '3']);
      expect(here !== undefined || level !== 'portable').toBe(true);
      if (here !== undefined) expect([...here], level).toEqual([...tensors]);
    }
  });

  const bf16Cases = BF16_LEVELS.flatMap((level) => PARTS.map((part) => ({ level, part })));
  it.each(bf16Cases)(
    'errs in bf16 no more than bf16 does, the same for any thread count: $level $part',
    async ({ level, part }) => {
      vi.stubEnv('SDGEN_ISA', level);
      const args = ['--model', await tinyModelPath(arch), '--device', 'cpu', '--precision', 'bf16'];
      const bf16 = evaluateHere(part, inputs, args);
      if (bf16 === undefined) return; // refused by name, as test/unit/cli checks
      const fixture = readSafetensors(inputs);
      const known = [...bf16].filter(([name]) => fixture.tensors.has(name));
      expect(known.length).toBeGreaterThan(0);
      for (const [name, tensor] of known) {
        const error = relativeRms(tensor, fixture.get(name));
        expect(error, name).toBeLessThanOrEqual(BF16_ERROR);
        expect(error, `${name} is fp32's`).toBeGreaterThan(1e-4);
      }
      expect([...(evaluateHere(part, inputs, [...args, '--threads', '3']) ?? [])]).toEqual([...bf16]);
    },
  );
});
