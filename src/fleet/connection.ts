import { Redis, type RedisOptions } from 'ioredis';
import { FailureError, UsageError } from '../request/errors.js';

/** Where the queue is, and what it takes to get in. */
export interface QueueAddress {
  /** redis:// or, with TLS, rediss://; user, password and database in it. */
  readonly url: string;
  /** PEM text of the authority that signed the server's certificate, besides those that Node knows. */
  readonly ca?: string | undefined;
}

/** How long the first connection may take. */
const FIRST_MS = 10_000;
const LONGEST_PAUSE_MS = 2000;

/** @throws UsageError for what is no address of a Redis */
export function parseQueueUrl(text: string): URL {
  let url: URL | undefined;
  try {
    url = new URL(text);
  } catch {
    // refused below
  }
  if (url === undefined || !['redis:', 'rediss:'].includes(url.protocol) || url.hostname === '') {
    throw new UsageError('--queue must be redis://host:port or rediss://user:password@host:port/database', 'queue');
  }
  if (!/^\/?\d{0,4}$/.test(url.pathname)) {
    throw new UsageError(`--queue: the database is a number, ${url.pathname.slice(1, 40)} is none`, 'queue');
  }
  return url;
}

/** An address for people: without its password. */
export function shownUrl(text: string): string {
  const url = parseQueueUrl(text);
  if (url.password !== '') url.password = '***';
  return url.href.replace(/\/$/, '');
}

/** The number of the database: channels of Redis are not kept apart by it as keys are. */
export function databaseOf(redis: Redis): number {
  return redis.options.db ?? 0;
}

function optionsFor({ url, ca }: QueueAddress, isReady: () => boolean) {
  const secure = parseQueueUrl(url).protocol === 'rediss:';
  return {
    lazyConnect: true,
    // Commands wait for the queue to come back, however long it takes; only the first connection may fail.
    maxRetriesPerRequest: null,
    retryStrategy: (times: number) =>
      isReady() ? Math.min(LONGEST_PAUSE_MS, 50 * 2 ** Math.min(times, 6)) * (0.5 + Math.random() / 2) : null,
    connectTimeout: FIRST_MS,
    ...(secure && ca !== undefined ? { tls: { ca } } : {}),
  } satisfies RedisOptions;
}

function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  if (/WRONGPASS|NOAUTH|invalid password/i.test(text)) return 'it refuses the user or password';
  if (/ECONNREFUSED/.test(text)) return 'nothing answers there';
  if (/ENOTFOUND|EAI_AGAIN/.test(text)) return 'there is no such host';
  if (/certificate|self.signed/i.test(text)) return `its certificate is not trusted (${text}); --queue-ca names its CA`;
  return text.split('\n')[0] ?? text;
}

/**
 * A connection to the queue. It comes back by itself whenever it is lost, and commands wait for that.
 * @param onChange told when it is lost and when it is back, with the reason
 * @throws FailureError E_QUEUE where the first connection cannot be made
 */
export async function connectQueue(
  address: QueueAddress,
  onChange: (state: 'lost' | 'back', reason: string) => void = () => undefined,
): Promise<Redis> {
  let ready = false;
  let lost = false;
  let last: unknown = 'it does not answer';
  const redis = new Redis(
    address.url,
    optionsFor(address, () => ready),
  );
  redis.on('error', (error: unknown) => {
    last = error;
  });
  redis.on('close', () => {
    if (!ready || lost || redis.status === 'end') return;
    lost = true;
    onChange('lost', reasonOf(last));
  });
  redis.on('ready', () => {
    if (lost) onChange('back', '');
    lost = false;
  });
  try {
    await redis.connect();
    await redis.ping();
  } catch (error) {
    redis.disconnect();
    // The connection's own end says less than what led to it.
    const cause = /closed/i.test(String(error)) ? last : error;
    throw new FailureError('E_QUEUE', `cannot reach the queue ${shownUrl(address.url)}: ${reasonOf(cause)}`, { cause });
  }
  ready = true;
  return redis;
}

/** Another connection like this one, for what blocks or listens. */
export function anotherConnection(redis: Redis): Redis {
  const other = redis.duplicate({ lazyConnect: false });
  other.on('error', () => undefined); // the first connection tells of it
  return other;
}
