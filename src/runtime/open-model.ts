import { asksForFp32 } from '../checkpoints/defaults.js';
import type { CommandOptions, OpenModel, ResolvedDevice } from '../context/runtime-context.js';
import { resolveDevice } from './device.js';
import type { ModelProvider } from './model-provider.js';

/**
 * The model that is asked for, on the device and in the precision that "auto" stands for: a model whose metadata asks for
 * fp32 gets it, unless a precision was given by name.
 * @throws UsageError, FailureError
 */
export async function openModel(
  options: CommandOptions,
  provider: ModelProvider,
  signal?: AbortSignal,
): Promise<{ readonly device: ResolvedDevice; readonly model: OpenModel }> {
  const capabilities = await provider.capabilities();
  const open = async (precision: string) => {
    const device = resolveDevice({ ...options, precision }, capabilities);
    return { device, model: await provider.getModel({ ...options, device }, signal) };
  };
  const opened = await open(options.precision);
  const { metadata } = opened.model.description;
  const isSettled = options.precision !== 'auto' || opened.device.precision === 'fp32';
  // Opening reads the header alone, so that the first choice costs no weights.
  if (isSettled || !asksForFp32(metadata, opened.model.path)) return opened;
  opened.model.release?.();
  return open('fp32');
}
