import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { AwsClient } from 'aws4fetch';
import { FailureError, UsageError } from '../../request/errors.js';
import { type BlobStore, checkKey, MAX_BLOB_BYTES } from './store.js';

/** Of one exchange. */
const TIMEOUT_MS = 120_000;
/** Tries where the network fails; answers that ask for another try are tried as often by the signing client. */
const TRIES = 5;

type Environment = Readonly<Record<string, string | undefined>>;

/** Where a bucket answers: of AWS itself, or of the endpoint that the environment names (MinIO, Ceph, R2 …). */
function bucketUrl(bucket: string, region: string, env: Environment): string {
  const endpoint = env.AWS_ENDPOINT_URL_S3 || env.AWS_ENDPOINT_URL;
  if (endpoint) return `${endpoint.replace(/\/+$/, '')}/${bucket}`;
  // A name with dots is not covered by the certificate of its own host.
  if (bucket.includes('.')) return `https://s3.${region}.amazonaws.com/${bucket}`;
  return `https://${bucket}.s3.${region}.amazonaws.com`;
}

function parse(text: string): { readonly bucket: string; readonly prefix: string } {
  const found = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/([\w.\-/]*))?$/.exec(text);
  if (found === null) {
    throw new UsageError('--store must be a folder or s3://bucket/prefix of letters, digits and . _ - /', 'store');
  }
  const prefix = (found[2] ?? '').replace(/^\/+|\/+$/g, '');
  return { bucket: found[1] ?? '', prefix };
}

/** Blobs as objects of an S3 bucket. Requests are signed (version 4), their bodies too. */
export class S3Store implements BlobStore {
  readonly id: string;
  readonly #client: AwsClient;
  readonly #base: string;
  readonly #shown: string;

  /**
   * @param text s3://bucket/prefix
   * @param env AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION, AWS_ENDPOINT_URL as others read them
   * @throws UsageError, FailureError E_STORE without keys
   */
  constructor(text: string, env: Environment) {
    const { bucket, prefix } = parse(text);
    const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, AWS_SESSION_TOKEN: token } = env;
    if (!accessKeyId || !secretAccessKey) {
      throw new FailureError('E_STORE', `${text} needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment`);
    }
    const region = env.AWS_REGION || env.AWS_DEFAULT_REGION || 'us-east-1';
    const session = token ? { sessionToken: token } : {};
    this.#client = new AwsClient({ accessKeyId, secretAccessKey, ...session, region, service: 's3', retries: TRIES });
    this.#base = `${bucketUrl(bucket, region, env)}${prefix === '' ? '' : `/${prefix}`}`;
    this.#shown = `s3://${bucket}${prefix === '' ? '' : `/${prefix}`}`;
    this.id = this.#shown;
  }

  async put(key: string, data: Uint8Array): Promise<void> {
    const body = Uint8Array.from(data);
    const response = await this.#send('PUT', key, body);
    if (!response.ok) await this.#refuse('PUT', key, response);
    await response.arrayBuffer();
  }

  async get(key: string): Promise<Buffer | undefined> {
    const response = await this.#send('GET', key);
    if (response.status === 404) {
      await response.arrayBuffer(); // read to its end, a connection serves again
      return undefined;
    }
    if (!response.ok) return this.#refuse('GET', key, response);
    const length = Number(response.headers.get('content-length') ?? 0);
    if (length > MAX_BLOB_BYTES) {
      await response.body?.cancel();
      throw new FailureError('E_STORE', `${this.#shown}/${key} has ${length} bytes, which is no blob of ours`);
    }
    try {
      return Buffer.from(await response.arrayBuffer());
    } catch (cause) {
      throw new FailureError('E_STORE', `${this.#shown}/${key} could not be read to its end`, { cause });
    }
  }

  async remove(key: string): Promise<void> {
    const response = await this.#send('DELETE', key);
    if (!response.ok && response.status !== 404) await this.#refuse('DELETE', key, response);
    await response.arrayBuffer();
  }

  async #send(method: string, key: string, body?: Uint8Array<ArrayBuffer>): Promise<Response> {
    const hash = createHash('sha256').update(body ?? '');
    const headers = { 'x-amz-content-sha256': hash.digest('hex') };
    const url = `${this.#base}/${checkKey(key)}`;
    for (let pause = 100; ; pause *= 2) {
      try {
        const signal = AbortSignal.timeout(TIMEOUT_MS);
        return await this.#client.fetch(url, { method, headers, signal, ...(body === undefined ? {} : { body }) });
      } catch (cause) {
        if (pause < 100 * 2 ** (TRIES - 1)) {
          await sleep(pause * (0.5 + Math.random() / 2));
          continue;
        }
        const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause.message : String(cause);
        throw new FailureError('E_STORE', `${this.#shown} does not answer: ${inner}`, { cause });
      }
    }
  }

  async #refuse(method: string, key: string, response: Response): Promise<never> {
    const text = (await response.text().catch(() => '')).slice(0, 4000);
    const code = /<Code>([\w.]{1,80})<\/Code>/.exec(text)?.[1] ?? response.statusText;
    throw new FailureError('E_STORE', `${this.#shown} refuses ${method} of ${key}: ${response.status} ${code}`);
  }
}
