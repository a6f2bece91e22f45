import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';

/** Where the build puts the page. */
const FOLDER = fileURLToPath(new URL('../../dist/web', import.meta.url));

/** Nothing from elsewhere, and no script or frame but the page's own. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** GET /: the web page; without its files (a build without it) there is none. */
export async function addPage(app: FastifyInstance, folder = FOLDER): Promise<void> {
  if (!existsSync(folder)) return;
  await app.register(fastifyStatic, {
    root: folder,
    // The names of scripts and styles change with their content.
    setHeaders: (response, path) => {
      response.header('content-security-policy', POLICY);
      response.header('cache-control', path.endsWith('.html') ? 'no-cache' : 'public, max-age=31536000, immutable');
    },
    cacheControl: false,
    schemaHide: true,
  });
}
