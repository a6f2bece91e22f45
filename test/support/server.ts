import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OptionStore } from '../../src/context/options.js';
import type { NativeAddon } from '../../src/native/types.js';
import { SERVER_DEFAULTS } from '../../src/request/limits.js';
import { FakeModelProvider } from '../../src/runtime/fake-provider.js';
import { CachedModelProvider, type ProviderOptions } from '../../src/runtime/model-provider.js';
import type { AppParts } from '../../src/server/app.js';
import { Catalog } from '../../src/server/catalog.js';
import { FAKE_MODELS } from '../../src/server/fake-models.js';
import { type Listening, startServer } from '../../src/server/serve.js';
import type { ServerSettings } from '../../src/server/settings.js';
import { tinyModelPath } from './tiny-model.js';

export interface ServerOptions {
  readonly settings?: Partial<ServerSettings>;
  readonly limits?: Partial<ServerSettings['limits']>;
  /** Files of the models folder, by name; the tiny model as micro1.safetensors unless told otherwise. */
  readonly models?: Readonly<Record<string, string>>;
  readonly addon?: NativeAddon;
  readonly device?: string;
  readonly provider?: ProviderOptions;
  readonly fake?: boolean;
  /** Who computes instead. */
  readonly fleet?: AppParts['fleet'];
}

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** A server of its own on a free port: the real pipeline over the tiny model on the reference device. */
export class TestServer {
  private constructor(
    readonly folder: string,
    readonly listening: Listening,
  ) {}

  static async start(options: ServerOptions = {}): Promise<TestServer> {
    const folder = await mkdtemp(join(tmpdir(), 'sdgen-server-'));
    const models = join(folder, 'models');
    await mkdir(models);
    const files = options.models ?? { 'micro1.safetensors': await tinyModelPath() };
    for (const [name, path] of Object.entries(files)) await copyFile(path, join(models, name));
    const cacheFolder = join(folder, 'cache');
    const limits = {
      bodyBytes: 8 * 2 ** 20,
      pixels: 512 * 512,
      steps: SERVER_DEFAULTS.maxSteps,
      images: 16,
      queue: SERVER_DEFAULTS.maxQueue,
      ...options.limits,
    };
    const settings: ServerSettings = {
      commandOptions: {
        model: 'micro1',
        modelsDirs: [models],
        cwd: folder,
        device: options.device ?? 'reference',
        precision: 'auto',
        threads: 1,
        overrides: {},
      },
      limits,
      outputFolder: join(folder, 'outputs'),
      credentials: [],
      allowedHosts: [],
      allowUrlImages: false,
      flags: { host: '127.0.0.1', port: 0 },
      fakeInference: options.fake === true,
      ...options.settings,
    };
    const { addon } = options;
    const engine = addon === undefined ? {} : { addon: async () => addon };
    const provider =
      options.fake === true
        ? new FakeModelProvider()
        : new CachedModelProvider({ cacheFolder, ...engine, ...options.provider });
    const catalog = options.fake === true ? FAKE_MODELS : new Catalog([models], cacheFolder);
    const parts = { settings, provider, options: new OptionStore(), models: catalog, fleet: options.fleet };
    return new TestServer(folder, await startServer(parts, '127.0.0.1', 0));
  }

  get url(): string {
    return this.listening.url;
  }

  get port(): number {
    return (this.listening.app.http.server.address() as AddressInfo).port;
  }

  /** One exchange with exactly these headers. */
  raw(method: string, path: string, headers: Record<string, string> = {}, body = ''): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const call = httpRequest(`${this.url}${path}`, { method, headers, agent: false }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
        });
        response.once('error', reject);
      });
      call.once('error', reject);
      call.end(body);
    });
  }

  async get(path: string): Promise<{ status: number; body: unknown }> {
    const { status, text } = await this.raw('GET', path);
    return { status, body: JSON.parse(text) };
  }

  async post(path: string, body?: unknown): Promise<{ status: number; body: unknown; headers: IncomingHttpHeaders }> {
    const json = body === undefined ? {} : { 'content-type': 'application/json' };
    const { status, text, headers } = await this.raw(
      'POST',
      path,
      json,
      body === undefined ? '' : JSON.stringify(body),
    );
    return { status, headers, body: JSON.parse(text) };
  }

  async stop(): Promise<void> {
    await this.listening.close(0);
    await rm(this.folder, { recursive: true, force: true });
  }
}
