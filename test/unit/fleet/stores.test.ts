import { mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FolderStore } from '../../../src/fleet/stores/folder-store.js';
import { openStore } from '../../../src/fleet/stores/open-store.js';
import { S3Store } from '../../../src/fleet/stores/s3-store.js';
import type { BlobStore } from '../../../src/fleet/stores/store.js';
import { TestS3 } from '../../support/s3.js';

const DATA = Buffer.from([0, 1, 255, 13, 10]);

async function holdsBlobs(store: BlobStore): Promise<void> {
  expect(await store.get('results/a')).toBeUndefined();
  await store.put('results/a', DATA);
  await store.put('inputs/b-c.png', Buffer.alloc(0));
  expect(await store.get('results/a')).toEqual(DATA);
  expect(await store.get('inputs/b-c.png')).toEqual(Buffer.alloc(0));
  await store.put('results/a', Buffer.from('other'));
  expect((await store.get('results/a'))?.toString()).toBe('other');
  await store.remove('results/a');
  await store.remove('results/a');
  expect(await store.get('results/a')).toBeUndefined();
  for (const key of ['../a', 'results/../x', 'results/', 'other/a', 'results/a/b', 'results/.x']) {
    await expect(store.put(key, DATA)).rejects.toThrow('is no key of a store');
  }
}

describe('a store in a folder', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sdgen-store-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('holds blobs whole, under keys of ours alone', async () => {
    const store = await FolderStore.open(join(folder, 'deep', 'store'));
    await holdsBlobs(store);
    expect(await readdir(join(folder, 'deep', 'store', 'results'))).toEqual([]);
  });

  it('is the same one for all who open it, and no other', async () => {
    const together = await Promise.all(Array.from({ length: 8 }, () => FolderStore.open(folder)));
    expect(new Set(together.map(({ id }) => id)).size).toBe(1);
    const other = await openStore('other', { cwd: folder, env: {} });
    expect(other.id).not.toBe(together[0]?.id);
    await writeFile(join(folder, '.sdgen-store'), 'something else');
    await expect(FolderStore.open(folder)).rejects.toMatchObject({ code: 'E_STORE' });
  });

  it('refuses a file that is too large to be ours, and says what the disk says', async () => {
    const store = await FolderStore.open(folder);
    await store.put('results/a', DATA);
    await truncate(join(folder, 'results', 'a'), 2 ** 31);
    await expect(store.get('results/a')).rejects.toMatchObject({ code: 'E_STORE' });
    await rm(join(folder, 'results'), { recursive: true });
    await writeFile(join(folder, 'results'), '');
    await expect(store.put('results/a', DATA)).rejects.toMatchObject({ code: 'E_IO' });
    await expect(store.get('results/a')).rejects.toMatchObject({ code: 'E_IO' });
  });
});

describe('a store in S3', () => {
  let s3: TestS3;
  afterEach(() => s3.stop());

  it('holds blobs by signed requests', async () => {
    s3 = await TestS3.start();
    await holdsBlobs(new S3Store('s3://pictures/fleet/one', s3.env));
    expect(s3.refused.filter((code) => code !== 'NoSuchKey')).toEqual([]);
    const store = await openStore('s3://pictures', { cwd: '/', env: s3.env });
    await store.put('results/a', DATA);
    expect([...s3.objects.keys()]).toEqual(['/pictures/fleet/one/inputs/b-c.png', '/pictures/results/a']);
    expect(store.id).toBe('s3://pictures');
  });

  it('tries again when told that there is too much to do', async () => {
    s3 = await TestS3.start({ busy: 3 });
    const store = new S3Store('s3://pictures/x/', s3.env);
    await store.put('results/a', DATA);
    expect(await store.get('results/a')).toEqual(DATA);
    expect(s3.refused).toEqual(['SlowDown', 'SlowDown', 'SlowDown']);
  });

  it('says what is refused', async () => {
    s3 = await TestS3.start();
    const wrong = new S3Store('s3://pictures', { ...s3.env, AWS_SECRET_ACCESS_KEY: 'wrong' });
    const message = 's3://pictures refuses PUT of results/a: 403 SignatureDoesNotMatch';
    await expect(wrong.put('results/a', DATA)).rejects.toMatchObject({ code: 'E_STORE', message });
    const elsewhere = new S3Store('s3://pictures', { ...s3.env, AWS_REGION: 'us-west-2' });
    await expect(elsewhere.get('results/a')).rejects.toThrow('400 AuthorizationHeaderMalformed');
    await expect(elsewhere.remove('results/a')).rejects.toThrow('400 AuthorizationHeaderMalformed');
    expect(() => new S3Store('s3://pictures', {})).toThrow('needs AWS_ACCESS_KEY_ID');
    for (const text of ['s3://', 's3://UPPER/x', 's3://bucket/ä', 's3:bucket']) {
      expect(() => new S3Store(text, s3.env)).toThrow('--store must be');
    }
    const dead = new S3Store('s3://pictures', { ...s3.env, AWS_ENDPOINT_URL: 'http://127.0.0.1:1' });
    await expect(dead.get('results/a')).rejects.toThrow('s3://pictures does not answer');
  });

  it('carries the token of a session, signed', async () => {
    s3 = await TestS3.start();
    const store = new S3Store('s3://pictures', { ...s3.env, AWS_SESSION_TOKEN: 'token' });
    await store.put('results/a', DATA);
    expect(s3.objects.get('/pictures/results/a')).toEqual(DATA);
  });
});
