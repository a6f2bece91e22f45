import { basename, dirname, extname } from 'node:path';

/** What --vae may say in a file's place, in any case. */
export const VAE_WORDS = ['automatic', 'none'] as const;

/** Of files that unpickling would have to run; never read. */
const PICKLES: readonly string[] = ['.pt', '.pth', '.ckpt', '.bin'];
/** MODEL.vae.safetensors, and the two that the webui reads beside it. */
const SUFFIXES: readonly string[] = ['.vae.safetensors', '.vae.pt', '.vae.ckpt'];

/** "automatic", "none" or neither; "auto" is the webui's other word for the first. */
export function vaeWord(text: string): (typeof VAE_WORDS)[number] | undefined {
  const word = text.toLowerCase();
  return word === 'auto' ? 'automatic' : VAE_WORDS.find((one) => one === word);
}

/** Whether a file's name says that it is a VAE: *.vae.safetensors and its like, or anything in a folder named VAE. */
export function isVaeName(path: string): boolean {
  const name = basename(path).toLowerCase();
  return SUFFIXES.some((suffix) => name.endsWith(suffix)) || basename(dirname(path)).toLowerCase() === 'vae';
}

/** The names that a VAE may have beside the checkpoint of that name: the one that is read, then those that are not. */
export function namesBeside(checkpoint: string): string[] {
  return SUFFIXES.map((suffix) => `${checkpoint}${suffix}`);
}

/** Whether a file's name says that it is a pickle. */
export function isPickleName(path: string): boolean {
  return PICKLES.includes(extname(path).toLowerCase());
}
