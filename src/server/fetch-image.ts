import { lookup as systemLookup } from 'node:dns';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { FailureError } from '../request/errors.js';
import { isPublicAddress } from './addresses.js';

const TIMEOUT_MS = 30_000;
const MAX_REDIRECTS = 5;

export interface FetchOptions {
  readonly maxBytes: number;
  /** How names are resolved; the system's resolver unless told otherwise. */
  readonly lookup?: LookupFunction | undefined;
  /** Which addresses may be called; public ones unless told otherwise. */
  readonly isAllowed?: ((address: string) => boolean) | undefined;
  readonly signal?: AbortSignal | undefined;
}

const refused = (message: string, cause?: unknown): FailureError =>
  new FailureError('E_IMAGE_FORMAT', message, { cause });

/**
 * The resolver that the connection itself uses: what is checked is what is called, so that a name which answers
 * differently the second time gains nothing.
 */
function checkedLookup({
  lookup = systemLookup as LookupFunction,
  isAllowed = isPublicAddress,
}: FetchOptions): LookupFunction {
  return (host, options, callback) => {
    lookup(host, { ...options, all: true }, (error, found) => {
      if (error !== null && error !== undefined) return callback(error, '', 0);
      const addresses = Array.isArray(found) ? found : [{ address: found, family: isIP(found) }];
      const isWrong = addresses.length === 0 || !addresses.every(({ address }) => isAllowed(address));
      if (isWrong) return callback(refused('Request to local resource not allowed'), '', 0);
      if (options.all === true) return callback(null, addresses);
      return callback(null, addresses[0]?.address ?? '', addresses[0]?.family);
    });
  };
}

/** @throws FailureError for what may not be called */
function checkUrl(text: string, { isAllowed = isPublicAddress }: FetchOptions): URL {
  let url: URL;
  try {
    url = new URL(text);
  } catch (cause) {
    throw refused('Invalid image url', cause);
  }
  if (!['http:', 'https:'].includes(url.protocol) || url.username !== '' || url.password !== '') {
    throw refused('Invalid image url');
  }
  // An address in the URL is never looked up.
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(host) !== 0 && !isAllowed(host)) throw refused('Request to local resource not allowed');
  return url;
}

function open(url: URL, options: FetchOptions, signal: AbortSignal): Promise<IncomingMessage> {
  const request = url.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const headers = { accept: 'image/*', 'user-agent': 'sdgen' };
    const call = request(url, { lookup: checkedLookup(options), signal, headers, agent: false }, resolve);
    call.once('error', reject);
    call.end();
  });
}

async function readBody(response: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response) {
    size += (chunk as Buffer).length;
    if (size > maxBytes) {
      response.destroy();
      throw refused(`the picture at that URL has more than ${maxBytes} bytes`);
    }
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

/**
 * The bytes at an http(s) URL of a public host, after redirects to such.
 * @throws FailureError E_IMAGE_FORMAT for hosts that are not public, answers that are too large, late or no success
 */
export async function fetchImage(text: string, options: FetchOptions): Promise<Buffer> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const signal = options.signal === undefined ? timeout : AbortSignal.any([timeout, options.signal]);
  let url = checkUrl(text, options);
  try {
    for (let hops = 0; hops <= MAX_REDIRECTS; hops += 1) {
      const response = await open(url, options, signal);
      const { statusCode = 0, headers } = response;
      if (statusCode >= 300 && statusCode < 400 && headers.location !== undefined) {
        response.destroy();
        url = checkUrl(new URL(headers.location, url).href, options);
        continue;
      }
      if (statusCode !== 200) {
        response.destroy();
        throw refused(`the picture's URL answers with status ${statusCode}`);
      }
      return await readBody(response, options.maxBytes);
    }
  } catch (cause) {
    if (cause instanceof FailureError) throw cause;
    throw refused('Invalid image url', cause);
  }
  throw refused(`the picture's URL redirects more than ${MAX_REDIRECTS} times`);
}
