import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readImageInfo } from '../../src/image/codec.js';
import { ROOT } from '../support/project.js';
import { TestServer } from '../support/server.js';

interface Call {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: object;
  /** 200 unless told otherwise. */
  readonly status?: number;
  /** Keys that the client reads; a list where there are none. */
  readonly keys?: string[];
  readonly pictures?: number;
}

const FOLDER = join(ROOT, 'test/fixtures/clients');
const CLIENTS: [name: string, calls: Call[]][] = readdirSync(FOLDER).map((file) => {
  const { client, provenance, calls } = JSON.parse(readFileSync(join(FOLDER, file), 'utf8'));
  if (typeof provenance !== 'string' || provenance === '') throw new Error(`${file} does not say where it is from`);
  return [client, calls];
});

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());

/** What programs that were written for the webui send, and what they read of the answers. */
describe.each(CLIENTS)('%s', (_, calls) => {
  it.each(calls.map((call, i) => [`${i + 1}: ${call.method} ${call.path}`, call] as const))(
    '%s',
    async (_name, call) => {
      const { method, path, body, keys, pictures } = call;
      const answer = method === 'GET' ? await server.get(path) : await server.post(path, body);
      expect([answer.status, answer.status === (call.status ?? 200) ? '' : JSON.stringify(answer.body)]).toEqual([
        call.status ?? 200,
        '',
      ]);
      if (keys !== undefined) expect(Object.keys(answer.body as object)).toEqual(expect.arrayContaining(keys));
      else if (method === 'GET') expect(answer.body).toBeInstanceOf(Array);
      if (pictures === undefined) return;
      const { images, info } = answer.body as { images: string[]; info: string };
      expect(images).toHaveLength(pictures);
      expect(JSON.parse(info).infotexts).toHaveLength(pictures);
      expect(await readImageInfo(Buffer.from(images[0] ?? '', 'base64'))).toMatchObject({ format: 'png', width: 64 });
    },
  );
});

it('a client may give all options back as it got them', async () => {
  const { body } = await server.get('/sdapi/v1/options');
  expect((await server.post('/sdapi/v1/options', body as object)).status).toBe(200);
  expect((await server.get('/sdapi/v1/options')).body).toEqual(body);
});
