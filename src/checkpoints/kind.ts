import { type FileHandle, open } from 'node:fs/promises';
import { extname } from 'node:path';

/** What a file of weights is for, as `sdgen models list` calls it. */
export type FileKind = 'model' | 'VAE' | 'text encoder' | 'LoRA' | 'embedding' | 'ControlNet';

/** Headers that are longer are not read for this: a listing must stay cheap whatever lies in the folder. */
const MAX_HEADER_BYTES = 8 << 20;
const LENGTH_BYTES = 8;

/** Wrapping modules that some files have before every name. */
const WRAPPERS = '(?:(?:module|_orig_mod|state_dict)\\.)*';
const begins = (...prefixes: readonly string[]): RegExp => new RegExp(`^${WRAPPERS}(?:${prefixes.join('|')})`);

const UNET = begins('model\\.diffusion_model\\.', 'diffusion_model\\.', 'unet\\.');
/** The first kind that one of a file's names belongs to; a VAE needs its decoder to be of use. */
const OTHERS: readonly (readonly [FileKind, RegExp])[] = [
  ['LoRA', /^lora_(unet|te\d?|prior)_|\.lora(_down|_up|_A|_B|\.down|\.up)\./],
  ['embedding', /^(emb_params|clip_[lg])$/],
  ['ControlNet', begins('control_model\\.', 'controlnet_')],
  ['VAE', begins('decoder\\.conv_in\\.', 'first_stage_model\\.decoder\\.', 'vae\\.decoder\\.')],
  ['text encoder', begins('text_model\\.', 'cond_stage_model\\.', 'conditioner\\.', 'text_encoder(_2)?\\.')],
];

/**
 * What a file with tensors of these names is. One that has a UNet, or nothing that is known, counts as a model: opening
 * it tells what it lacks.
 */
export function kindOfNames(names: readonly string[]): FileKind {
  if (names.some((name) => UNET.test(name))) return 'model';
  return OTHERS.find(([, pattern]) => names.some((name) => pattern.test(name)))?.[0] ?? 'model';
}

async function readExactly(file: FileHandle, length: number, position: number): Promise<Buffer | undefined> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await file.read(buffer, 0, length, position);
  return bytesRead === length ? buffer : undefined;
}

/** The tensors' names in a safetensors header; undefined for what is none, or a longer one than is read here. */
async function tensorNames(path: string): Promise<string[] | undefined> {
  const file = await open(path, 'r');
  try {
    const length = await readExactly(file, LENGTH_BYTES, 0);
    const headerBytes = length?.readBigUInt64LE(0) ?? 0n;
    if (headerBytes === 0n || headerBytes > BigInt(MAX_HEADER_BYTES)) return undefined;
    if (headerBytes > BigInt((await file.stat()).size - LENGTH_BYTES)) return undefined;
    const header = await readExactly(file, Number(headerBytes), LENGTH_BYTES);
    const parsed: unknown = JSON.parse(header?.toString('utf8') ?? 'null');
    return typeof parsed === 'object' && parsed !== null ? Object.keys(parsed) : undefined;
  } finally {
    await file.close();
  }
}

/** What is known of files, by path, while their size and time stay the same. */
export type KnownKinds = Map<string, { readonly stamp: string; readonly kind: FileKind }>;

/**
 * What a file is by its header; a model where that does not say, as in a damaged file, which opening refuses by its fault.
 * @param known remembers it for the next time
 */
export async function kindOfFile(
  file: { readonly path: string; readonly bytes: number; readonly modified: Date },
  known: KnownKinds = new Map(),
): Promise<FileKind> {
  const { path, bytes, modified } = file;
  if (extname(path).toLowerCase() !== '.safetensors') return 'model';
  const stamp = `${bytes} ${modified.getTime()}`;
  const before = known.get(path);
  if (before?.stamp === stamp) return before.kind;
  const names = await tensorNames(path).catch(() => undefined);
  const kind = names === undefined ? 'model' : kindOfNames(names);
  known.set(path, { stamp, kind });
  return kind;
}
