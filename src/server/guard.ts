import { createHash, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { HttpError } from './errors.js';
import type { Credentials, ServerSettings } from './settings.js';

/** A header's host name without its port; undefined where it is none. */
function hostName(authority: string): string | undefined {
  try {
    const url = new URL(`http://${authority}`);
    const isPlain =
      url.pathname === '/' && url.search === '' && url.username === '' && url.password === '' && url.hash === '';
    return isPlain
      ? url.hostname
          .replace(/^\[|\]$/g, '')
          .replace(/\.$/, '')
          .toLowerCase()
      : undefined;
  } catch {
    return undefined; // then the header is no host at all
  }
}

/**
 * Against DNS rebinding: a page on evil.example may point its own name at this machine, but its requests then carry that
 * name. An address cannot be rebound, so any address is right; of names only localhost and those that were allowed.
 */
export function isAllowedHost(header: string | undefined, allowed: readonly string[]): boolean {
  const name = header === undefined ? undefined : hostName(header);
  if (name === undefined) return false;
  return isIP(name) !== 0 || name === 'localhost' || name.endsWith('.localhost') || allowed.includes(name);
}

/**
 * Whether a request comes from a page of another place: browsers say so in `Origin` (and newer ones in
 * `Sec-Fetch-Site`), programs send neither.
 */
export function isForeignPage(headers: FastifyRequest['headers']): boolean {
  const { origin, host } = headers;
  const site = headers['sec-fetch-site'];
  if (origin !== undefined) {
    try {
      return new URL(origin).host.toLowerCase() !== (host ?? '').toLowerCase();
    } catch {
      return true; // "null": a page that hides where it comes from
    }
  }
  return site === 'cross-site' || site === 'same-site';
}

const digest = (text: string): Buffer => createHash('sha256').update(text, 'utf8').digest();

/**
 * Whether a header holds one of the credentials. Hashes of equal length are compared, in constant time, with every
 * entry, so that the time tells neither which part was wrong nor which entry was right.
 */
export function isAuthorized(header: string | undefined, credentials: readonly Credentials[]): boolean {
  const encoded = /^basic\s+([A-Za-z0-9+/=_-]+)$/i.exec(header ?? '')?.[1] ?? '';
  const given = digest(Buffer.from(encoded, 'base64').toString('utf8'));
  let found = 0;
  for (const { user, password } of credentials) found |= Number(timingSafeEqual(given, digest(`${user}:${password}`)));
  return found === 1 && encoded !== '';
}

/** Looks at every request, of unknown routes too, before its body is read. */
export function addGuard(app: FastifyInstance, { credentials, allowedHosts }: ServerSettings): void {
  app.addHook('onRequest', async ({ headers, method }) => {
    if (!isAllowedHost(headers.host, allowedHosts)) {
      throw new HttpError(
        403,
        'this name is not one of this server: call it by its address, or allow the name by --allow-host',
      );
    }
    if (isForeignPage(headers) && !['GET', 'HEAD'].includes(method)) {
      throw new HttpError(403, 'a page of another place may not drive this server');
    }
    if (credentials.length === 0 || isAuthorized(headers.authorization, credentials)) return;
    const message = headers.authorization === undefined ? 'Not authenticated' : 'Incorrect username or password';
    throw new HttpError(401, message, { 'www-authenticate': 'Basic realm="sdgen"' });
  });
}
