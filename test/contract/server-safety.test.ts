import type { lookup } from 'node:dns';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodePng } from '../../src/image/codec.js';
import { isPublicAddress } from '../../src/server/addresses.js';
import { fetchImage } from '../../src/server/fetch-image.js';
import { TestServer } from '../support/server.js';

const json = { 'content-type': 'application/json' };
const basic = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` });

describe('who may call', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await TestServer.start({ fake: true, settings: { allowedHosts: ['pictures.example'] } });
  });
  afterAll(() => server.stop());
  const call = async (headers: Record<string, string>, method = 'POST', body = '{"steps":1}') =>
    (
      await server.raw(
        method,
        method === 'POST' ? '/sdapi/v1/txt2img' : '/sdapi/v1/progress',
        headers,
        method === 'POST' ? body : '',
      )
    ).status;

  it('is told by the Host: addresses, localhost and allowed names, so that no name can be rebound', async () => {
    for (const host of [
      '127.0.0.1:7860',
      'localhost',
      '[::1]:80',
      '192.168.1.5',
      'pictures.example',
      'Pictures.Example:1',
    ]) {
      expect([host, await call({ ...json, host })]).toEqual([host, 200]);
    }
    for (const host of [
      'evil.example',
      'localhost.evil.example',
      '127.0.0.1.evil.example',
      'x@127.0.0.1',
      '127.0.0.1/x',
    ]) {
      expect([host, await call({ ...json, host })]).toEqual([host, 403]);
      expect([host, await call({ host }, 'GET')]).toEqual([host, 403]);
    }
  });

  it('is no page of another place', async () => {
    const own = `127.0.0.1:${server.port}`;
    expect(await call({ ...json, origin: `http://${own}` })).toBe(200);
    for (const origin of ['http://evil.example', 'null', `http://127.0.0.1:${server.port + 1}`, 'http://localhost']) {
      expect([origin, await call({ ...json, origin })]).toEqual([origin, 403]);
    }
    expect(await call({ ...json, 'sec-fetch-site': 'cross-site' })).toBe(403);
    expect(await call({ ...json, 'sec-fetch-site': 'same-origin' })).toBe(200);
    const { headers } = await server.raw('OPTIONS', '/sdapi/v1/txt2img', {
      origin: 'http://evil.example',
      'access-control-request-method': 'POST',
    });
    expect(Object.keys(headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
    expect(await call({ 'content-type': 'application/json', origin: 'http://evil.example' })).toBe(403);
  });

  it('sends JSON: what a page may send without asking is refused', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']) {
      expect([type, await call({ 'content-type': type })]).toEqual([type, 415]);
    }
    expect(await call({ 'content-type': 'application/json; charset=utf-8' })).toBe(200);
  });
});

describe('credentials', () => {
  let server: TestServer;
  beforeAll(async () => {
    const credentials = [
      { user: 'me', password: 'a:b' },
      { user: 'you', password: 'ü' },
    ];
    server = await TestServer.start({ fake: true, settings: { credentials } });
  });
  afterAll(() => server.stop());

  it('cover every route there is, those that are not, and the documents', async () => {
    const right = await server.raw('GET', '/openapi.json', basic('me:a:b'));
    const { paths } = JSON.parse(right.text) as { paths: Record<string, Record<string, unknown>> };
    const routes = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => [method.toUpperCase(), path] as const),
    );
    expect(routes.length).toBeGreaterThan(35);
    const more = ['/docs/', '/docs', '/docs/json', '/openapi.json', '/metrics', '/nothing', '/'].map(
      (path) => ['GET', path] as const,
    );
    for (const [method, path] of [...routes, ...more]) {
      const { status, headers, text } = await server.raw(
        method,
        path.replace('{id}', 'x'),
        method === 'POST' ? json : {},
      );
      expect([path, status, headers['www-authenticate']]).toEqual([path, 401, 'Basic realm="sdgen"']);
      expect(JSON.parse(text)).toEqual({ error: 'HTTPException', detail: 'Not authenticated', body: '', errors: '' });
    }
  });

  it('are right as a whole or not at all', async () => {
    const status = async (text: string) => (await server.raw('GET', '/healthz', basic(text))).status;
    for (const text of ['me:a:b', 'you:ü']) expect(await status(text)).toBe(200);
    for (const text of ['me:a', 'me', '', ':', 'me:ü', 'you:a:b', 'me:a:b ', 'ME:a:b']) {
      expect([text, await status(text)]).toEqual([text, 401]);
    }
    const wrong = await server.raw('GET', '/healthz', basic('me:x'));
    expect(JSON.parse(wrong.text).detail).toBe('Incorrect username or password');
    expect((await server.raw('GET', '/healthz', { authorization: 'Bearer x' })).status).toBe(401);
  });
});

describe('limits', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await TestServer.start({ fake: true, limits: { bodyBytes: 4096 } });
  });
  afterAll(() => server.stop());

  it('of a body hold for what is announced and for what comes', async () => {
    const { status } = await server.post('/sdapi/v1/txt2img', { prompt: 'x'.repeat(5000) });
    expect(status).toBe(413);
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(server.port, '127.0.0.1');
      socket.once('error', reject);
      socket.once('data', (data) => {
        resolve(data.toString('latin1').split('\r\n')[0] ?? '');
        socket.destroy();
      });
      const head = 'POST /sdapi/v1/txt2img HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n';
      socket.write(`${head}Transfer-Encoding: chunked\r\n\r\n1800\r\n${' '.repeat(0x1800)}\r\n`);
    });
    expect(answer).toBe('HTTP/1.1 413 Payload Too Large');
  });

  it('survive deep and strange JSON', async () => {
    const deep = `{"override_settings": ${'['.repeat(1500)}${']'.repeat(1500)}}`;
    expect((await server.raw('POST', '/sdapi/v1/txt2img', json, deep)).status).toBe(422);
    const proto = '{"__proto__": {"steps": 1}, "constructor": 1, "override_settings": {"__proto__": 1}}';
    expect((await server.raw('POST', '/sdapi/v1/txt2img', json, proto)).status).toBe(200);
    expect(({} as { steps?: number }).steps).toBeUndefined();
  });
});

describe('pictures by URL', () => {
  let other: Server;
  let port: number;
  let picture: Buffer;
  beforeAll(async () => {
    picture = await encodePng(new Uint8Array(8 * 8 * 3), 8, 8, [{ keyword: 'parameters', text: 'from afar' }]);
    other = createServer((request, response) => {
      const places: Record<string, string> = {
        '/inside': `http://10.0.0.7:${port}/picture`,
        '/loop': '/loop',
        '/file': 'file:///etc/passwd',
        '/moved': '/picture',
      };
      const to = places[request.url ?? ''];
      if (to !== undefined) response.writeHead(302, { location: to }).end();
      else if (request.url === '/picture') response.end(picture);
      else response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    port = (other.address() as AddressInfo).port;
  });
  afterAll(() => other.close());

  it('are refused unless allowed, and then never from this machine or its network', async () => {
    const closed = await TestServer.start({ fake: true });
    const open = await TestServer.start({ fake: true, settings: { allowUrlImages: true } });
    const ask = async (server: TestServer, image: string) => {
      const { status, body } = await server.post('/sdapi/v1/png-info', { image });
      return [status, (body as { detail: string }).detail];
    };
    try {
      expect(await ask(closed, `http://127.0.0.1:${port}/picture`)).toEqual([
        422,
        expect.stringMatching(/^Requests not allowed/),
      ]);
      const local = [`http://127.0.0.1:${port}/picture`, `http://localhost:${port}/picture`, `http://[::1]:${port}/`];
      const disguised = [
        'http://2130706433/',
        'http://0x7f.1/',
        'http://[::ffff:127.0.0.1]/',
        'http://169.254.169.254/',
      ];
      for (const url of [...local, ...disguised]) {
        expect([url, await ask(open, url)]).toEqual([url, [422, 'Request to local resource not allowed']]);
      }
    } finally {
      await closed.stop();
      await open.stop();
    }
  });

  it('are checked where the connection is made: after redirects, and whatever a name answers', async () => {
    const asked: string[] = [];
    // Stands for a public host: this machine, called by a name.
    const options = {
      maxBytes: 1000,
      isAllowed: (address: string) => address === '127.0.0.1',
      lookup: ((host, settings, callback) => {
        asked.push(host);
        const address = host === 'inner.example' ? '10.0.0.7' : '127.0.0.1';
        if (settings.all === true) callback(null, [{ address, family: 4 }]);
        else callback(null, address, 4);
      }) as typeof lookup extends unknown ? import('node:net').LookupFunction : never,
    };
    const at = (path: string, host = 'outer.example') => fetchImage(`http://${host}:${port}${path}`, options);
    expect(await at('/picture')).toEqual(picture);
    expect(await at('/moved')).toEqual(picture);
    expect(asked).toContain('outer.example');
    await expect(at('/inside')).rejects.toThrow('Request to local resource not allowed');
    await expect(at('/picture', 'inner.example')).rejects.toThrow('Request to local resource not allowed');
    await expect(at('/file')).rejects.toThrow('Invalid image url');
    await expect(at('/loop')).rejects.toThrow(/redirects more than 5 times/);
    await expect(at('/gone')).rejects.toThrow(/status 404/);
    await expect(fetchImage(`http://outer.example:${port}/picture`, { ...options, maxBytes: 10 })).rejects.toThrow(
      /more than 10 bytes/,
    );
    await expect(fetchImage('http://me:secret@outer.example/', options)).rejects.toThrow('Invalid image url');
    await expect(fetchImage('http://outer.example:1/', options)).rejects.toThrow('Invalid image url');
  });

  it('know public addresses from others', () => {
    for (const address of ['1.1.1.1', '93.184.216.34', '172.15.0.1', '172.32.0.1', '2606:4700::1111']) {
      expect([address, isPublicAddress(address)]).toEqual([address, true]);
    }
    const inner = [
      '0.0.0.0',
      '10.1.2.3',
      '100.64.0.1',
      '127.9.9.9',
      '169.254.1.1',
      '172.16.0.1',
      '192.168.0.1',
      '224.0.0.1',
    ];
    const six = [
      '::',
      '::1',
      '::ffff:8.8.8.8',
      '64:ff9b::808:808',
      'fe80::1',
      'fc00::1',
      'ff02::1',
      '2002::1',
      '2001:db8::1',
      'x',
      '',
    ];
    for (const address of [...inner, '255.255.255.255', ...six]) {
      expect([address, isPublicAddress(address)]).toEqual([address, false]);
    }
  });
});

describe('--fake-inference', () => {
  it('checks everything first, and says what it is', async () => {
    const server = await TestServer.start({ fake: true });
    try {
      expect((await server.post('/sdapi/v1/txt2img', { steps: 0 })).status).toBe(422);
      expect((await server.post('/sdapi/v1/txt2img', { prompt: '<lora:x:1>' })).status).toBe(422);
      const { status, body } = await server.post('/sdapi/v1/txt2img', { prompt: 'a fox', width: 72, height: 64 });
      expect(status).toBe(200);
      const info = JSON.parse((body as { info: string }).info);
      expect(info).toMatchObject({
        sd_model_name: 'fake-inference',
        extra_generation_params: { 'Fake inference': true },
      });
      expect((await server.get('/healthz')).body).toMatchObject({ fakeInference: true });
      expect((await server.get('/sdapi/v1/sd-models')).body).toHaveLength(1);
    } finally {
      await server.stop();
    }
  });
});
