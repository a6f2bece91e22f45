import { resolve } from 'node:path';
import { FolderStore } from './folder-store.js';
import type { BlobStore } from './store.js';

/**
 * What --store means: s3://bucket/prefix, or a folder.
 * @throws UsageError, FailureError E_STORE, E_IO
 */
export async function openStore(
  text: string,
  { cwd, env }: { readonly cwd: string; readonly env: Readonly<Record<string, string | undefined>> },
): Promise<BlobStore> {
  if (!text.startsWith('s3:')) return FolderStore.open(resolve(cwd, text));
  const { S3Store } = await import('./s3-store.js');
  return new S3Store(text, env);
}
