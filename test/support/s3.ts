import { createHash, createHmac } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

const sha256 = (data: string | Buffer): string => createHash('sha256').update(data).digest('hex');
const hmac = (key: string | Buffer, data: string): Buffer => createHmac('sha256', key).update(data).digest();

/** As AWS computes a request's signature (Signature Version 4, "Create a signed AWS API request"). */
function signatureOf(request: IncomingMessage, signedHeaders: string, scope: string, secret: string): string {
  const url = new URL(request.url ?? '/', 'http://host');
  const query = [...url.searchParams].map(([k, v]) => `${encodeURIComponent(k)}=${encodeURIComponent(v)}`).sort();
  const headers = signedHeaders.split(';').map((name) => `${name}:${String(request.headers[name] ?? '').trim()}\n`);
  const canonical = [
    ...[request.method ?? '', url.pathname, query.join('&'), headers.join(''), signedHeaders],
    String(request.headers['x-amz-content-sha256']),
  ].join('\n');
  const text = ['AWS4-HMAC-SHA256', String(request.headers['x-amz-date']), scope, sha256(canonical)].join('\n');
  const [date = '', region = '', service = ''] = scope.split('/');
  const key = hmac(hmac(hmac(hmac(`AWS4${secret}`, date), region), service), 'aws4_request');
  return hmac(key, text).toString('hex');
}

export interface S3Options {
  readonly keyId?: string;
  readonly secret?: string;
  readonly region?: string;
  /** Answers so many requests with 503 first. */
  readonly busy?: number;
}

/** What of S3 a store needs, in memory: objects by path, only for requests that are signed rightly. */
export class TestS3 {
  readonly objects = new Map<string, Buffer>();
  readonly refused: string[] = [];
  requests = 0;
  #busy: number;
  readonly #server: Server;

  private constructor(readonly options: Required<S3Options>) {
    this.#busy = options.busy;
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { status, body } = this.#answer(request, Buffer.concat(chunks));
        response.writeHead(status, { 'content-length': body.length }).end(body);
      });
    });
  }

  static async start(options: S3Options = {}): Promise<TestS3> {
    const s3 = new TestS3({ keyId: 'AKIDEXAMPLE', secret: 'secret/key+1', region: 'eu-test-1', busy: 0, ...options });
    await new Promise<void>((resolve) => s3.#server.listen(0, '127.0.0.1', resolve));
    return s3;
  }

  get env(): Record<string, string> {
    const { keyId, secret, region } = this.options;
    const url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    return { AWS_ACCESS_KEY_ID: keyId, AWS_SECRET_ACCESS_KEY: secret, AWS_REGION: region, AWS_ENDPOINT_URL: url };
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(request: IncomingMessage, body: Buffer): { status: number; body: Buffer } {
    this.requests += 1;
    const refuse = (status: number, code: string) => {
      this.refused.push(code);
      return { status, body: Buffer.from(`<?xml version="1.0"?><Error><Code>${code}</Code></Error>`) };
    };
    if (this.#busy > 0) {
      this.#busy -= 1;
      return refuse(503, 'SlowDown');
    }
    const { keyId, secret, region } = this.options;
    const pattern = /^AWS4-HMAC-SHA256 Credential=([^/]+)\/([^,]+), SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/;
    const [, key, scope = '', signed = '', signature] = pattern.exec(request.headers.authorization ?? '') ?? [];
    if (key !== keyId) return refuse(403, 'InvalidAccessKeyId');
    if (!scope.endsWith(`/${region}/s3/aws4_request`)) return refuse(400, 'AuthorizationHeaderMalformed');
    if (!['host', 'x-amz-content-sha256', 'x-amz-date'].every((name) => signed.split(';').includes(name))) {
      return refuse(403, 'AccessDenied');
    }
    if (signatureOf(request, signed, scope, secret) !== signature) return refuse(403, 'SignatureDoesNotMatch');
    if (request.headers['x-amz-content-sha256'] !== sha256(body)) return refuse(400, 'XAmzContentSHA256Mismatch');
    return this.#serve(request.method ?? '', request.url ?? '', body, refuse);
  }

  #serve(
    method: string,
    path: string,
    body: Buffer,
    refuse: (s: number, c: string) => { status: number; body: Buffer },
  ) {
    const nothing = Buffer.alloc(0);
    if (method === 'PUT') {
      this.objects.set(path, body);
      return { status: 200, body: nothing };
    }
    if (method === 'DELETE') {
      this.objects.delete(path);
      return { status: 204, body: nothing };
    }
    const found = this.objects.get(path);
    return found === undefined ? refuse(404, 'NoSuchKey') : { status: 200, body: found };
  }
}
