import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fuzzServer } from '../../../scripts/fuzz-server/requests.mjs';
import { TestServer } from '../../support/server.js';

describe('requests made from the OpenAPI document', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await TestServer.start({ fake: true });
  });
  afterAll(() => server.stop());

  it('are never answered with 5xx, and at least half are accepted', async () => {
    const { sent, accepted, routes } = await fuzzServer(server.url, { requests: 300, seed: 7 });
    expect(sent).toBe(300);
    expect(accepted).toBeGreaterThan(150);
    const [taken = 0, refused = 0] = routes['POST /sdapi/v1/txt2img'] ?? [];
    expect(taken).toBeGreaterThan(4);
    expect(refused).toBeGreaterThan(4);
  });

  it('find a server that fails', async () => {
    const paths = {
      '/x': { post: { requestBody: { content: { 'application/json': { schema: { type: 'object' } } } } } },
    };
    const broken = createServer((request, response) => {
      if (request.url === '/openapi.json') response.end(JSON.stringify({ paths }));
      else response.writeHead(500).end('broken');
    });
    await new Promise<void>((resolve) => broken.listen(0, '127.0.0.1', resolve));
    const { port } = broken.address() as AddressInfo;
    try {
      await expect(fuzzServer(`http://127.0.0.1:${port}`, { requests: 3, seed: 1 })).rejects.toThrow(/"path":"\/x"/);
    } finally {
      broken.close();
    }
  });
});
