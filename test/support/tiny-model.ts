import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { makeTinyFolder, makeTinyModel } from '../../scripts/make-tiny-model.mjs';

export type TinyArch = 'micro1' | 'micro1-inpaint' | 'micro1-edit' | 'micro2' | 'micro-pooled' | 'tiny1' | 'tiny2';

/**
 * A random checkpoint (seed 7, F16) under build/models, made on first use. Safe when several test workers ask at
 * once: each writes its own temporary file and renames it over the same bytes.
 */
export async function tinyModelPath(arch: TinyArch = 'micro1'): Promise<string> {
  const path = fileURLToPath(new URL(`../../build/models/${arch}-7-F16.safetensors`, import.meta.url));
  if (!existsSync(path)) await makeTinyModel({ path, arch, dtype: 'F16', seed: 7, threads: 1 });
  return path;
}

/** The same as a folder of diffusers; `shards` files for each part's weights. */
export async function tinyFolderPath(arch: TinyArch = 'micro1', shards = 1): Promise<string> {
  const path = fileURLToPath(new URL(`../../build/models/${arch}-7-F16-diffusers-${shards}`, import.meta.url));
  if (existsSync(path)) return path;
  try {
    await makeTinyFolder({ path, arch, dtype: 'F16', seed: 7, threads: 1, shards });
  } catch (error) {
    if (!existsSync(path)) throw error; // another test worker was quicker
  }
  return path;
}
